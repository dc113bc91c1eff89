"""The table of signatures by run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.signatures import main
from reports.finding import Finding
from tests.reports.helpers import finding
from tests.reports.stored_runs import record, write_run

HANG = finding("gemv_4bit", "hang", triggers={"bias": True}, observed=7)
SHAPE = finding("matmul_4bit", "wrong shape", triggers={"weight.layout": "in_out"}, observed=2)
LATE = {"signature": "functional.gemv_4bit | gemv_4bit | hang | triggers: bias=True, packed=transposed", "slug": "", "reason": "too late"}


def listed(*findings: Finding) -> list[dict[str, Any]]:
    """What a record says of its findings."""
    return [{"signature": item.signature, "slug": item.slug, "cases": item.observed} for item in findings]


def test_each_signature_says_in_which_runs_it_came_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = write_run(tmp_path / "first", [HANG, SHAPE], run=record(seed=1, cases=900, findings=listed(HANG, SHAPE)))
    second = write_run(tmp_path / "second", [SHAPE], run=record(seed=2, cases=800, findings=listed(SHAPE), unconfirmed=[LATE]))
    killed = write_run(tmp_path / "killed", [HANG])
    assert main([str(first), str(second), str(killed)]) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head == "| signature | seed 1, 900 Cases | seed 2, 800 Cases | killed | runs |"
    assert [row.split(" | ")[1:] for row in rows] == [["7", "late", "7", "2 |"], ["2", "2", "", "2 |"]]
    assert rows[0].startswith("| functional.gemv_4bit ; gemv_4bit ; hang ; triggers: bias=True | ")


def test_what_was_not_confirmed_has_no_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"signature": HANG.signature, "slug": HANG.slug, "reason": "it came and went"}
    run = write_run(tmp_path / "run", [HANG, SHAPE], run=record(seed=1, cases=900, findings=listed(SHAPE), unconfirmed=[entry]))
    assert main([str(run)]) == 0
    _, _, row = capsys.readouterr().out.splitlines()
    assert row.startswith("| functional.matmul_4bit ; ")


def test_what_is_no_report_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nothing")]) == 2
    assert capsys.readouterr().err.startswith("could not read: ")
