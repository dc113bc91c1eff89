"""What a run tells GitHub Actions, and that it tells nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.formats.actions import tell
from reports.formats.step_summary import step_summary
from reports.formats.workflow import workflow_commands
from tests.reports.formats.helpers import outcomes


def test_annotations_are_printed_and_the_summary_is_appended(tmp_path: Path) -> None:
    page = tmp_path / "summary.md"
    page.write_text("before\n", encoding="utf-8")
    found = outcomes()
    lines = list(tell(found, {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(page)}))
    assert lines == list(workflow_commands(found))
    assert page.read_text(encoding="utf-8") == "before\n" + step_summary(found)


@pytest.mark.parametrize("environment", [{}, {"GITHUB_ACTIONS": "false"}, {"CI": "true"}])
def test_nobody_else_is_told(tmp_path: Path, environment: dict[str, str]) -> None:
    page = tmp_path / "summary.md"
    assert list(tell(outcomes(), {**environment, "GITHUB_STEP_SUMMARY": str(page)})) == []
    assert not page.exists()


def test_a_page_that_cannot_be_written_is_said_and_loses_nothing(tmp_path: Path) -> None:
    found = outcomes()
    lines = list(tell(found, {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path)}))
    assert lines == [*workflow_commands(found), f"the summary could not be appended to {tmp_path}: Is a directory"]
    assert list(tell(found, {"GITHUB_ACTIONS": "true"})) == list(workflow_commands(found))
