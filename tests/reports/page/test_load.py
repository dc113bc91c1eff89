"""What a page reads of a reports directory."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from reports.files import write_text
from reports.page.load import load
from reports.run import ReportsError
from tests.reports.helpers import finding
from tests.reports.stored_runs import SCRIPT, record, write_run

FOUND = finding()
ENTRY = {"signature": FOUND.signature, "slug": FOUND.slug, "cases": 17}


def test_the_findings_of_the_run_and_not_those_of_earlier_ones(tmp_path: Path) -> None:
    write_run(tmp_path, [FOUND, finding("gemv_4bit")], run=record(findings=[ENTRY]))
    shown = load(tmp_path)
    assert [(item.finding, item.script) for item in shown.findings] == [(FOUND, SCRIPT)]
    assert shown.record == record(findings=[ENTRY])
    assert shown.unread == ()


def test_a_run_that_was_killed_lists_none_yet(tmp_path: Path) -> None:
    write_run(tmp_path, [FOUND], run=record(stop_reason="running"))
    assert [item.finding for item in load(tmp_path).findings] == [FOUND]


def test_one_that_cannot_be_read_does_not_cost_the_others(tmp_path: Path) -> None:
    other = dataclasses.replace(FOUND, path="gemv_4bit")
    write_run(tmp_path, [FOUND, other], run=record(findings=[ENTRY, {"signature": other.signature, "slug": other.slug}]))
    write_text(tmp_path / "findings" / FOUND.slug / "finding.json", "{")
    shown = load(tmp_path)
    assert [item.finding for item in shown.findings] == [other]
    (sentence,) = shown.unread
    assert sentence.startswith(f"The finding in {FOUND.slug} cannot be read: ")


def test_a_name_does_not_lead_out_of_the_directory(tmp_path: Path) -> None:
    write_run(tmp_path / "other", [FOUND])
    slug = f"../../other/findings/{FOUND.slug}"
    write_run(tmp_path / "here", run=record(findings=[{"signature": FOUND.signature, "slug": slug}]))
    assert load(tmp_path / "here").findings == ()


@pytest.mark.parametrize("text", [None, "{", "[]", '{"format_version": 2}'])
def test_without_a_run_there_is_nothing_to_show(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        write_text(tmp_path / "run.json", text)
    with pytest.raises(ReportsError) as caught:
        load(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path} has no run that can be shown: ")
    assert "\n" not in str(caught.value)
