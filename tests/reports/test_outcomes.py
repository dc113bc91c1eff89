"""What became of what a run saw: from a run in hand, from a directory, and from one that was cut short."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from reports.outcomes import KILLED, Outcomes, State
from reports.stored import read_run
from tests.reports.formats.helpers import FLAKY, LATE, outcomes, run_of_each
from tests.reports.helpers import finding
from tests.reports.stored_runs import observation, of, record, unverified, write_run


def of_directory(root: Path) -> Outcomes:
    return Outcomes.of_stored(read_run(root, lambda text: None))  # noqa: ARG005


def kinds(found: Outcomes) -> list[tuple[State, str]]:
    return [(entry.state, entry.name) for entry in found.entries]


def test_a_directory_says_what_the_run_said(tmp_path: Path) -> None:
    item = finding()
    assert kinds(of_directory(write_run(tmp_path / "a", [item], [of(item)], run_of_each(item)))) == kinds(outcomes(item))


def test_a_finding_of_an_earlier_run_is_not_one_of_this_run(tmp_path: Path) -> None:
    item, earlier = finding(), finding(how="earlier")
    root = write_run(tmp_path / "a", [item, earlier, unverified(finding(how="other"))], run=run_of_each(item))
    assert kinds(of_directory(root)) == kinds(outcomes(item))


@pytest.mark.parametrize("ended", ["running", "interrupted", None])
def test_of_a_run_that_was_cut_short_everything_counts(tmp_path: Path, ended: str | None) -> None:
    item, failed = finding(), unverified(finding(how="other"))
    run = None if ended is None else record(stop_reason=ended)
    found = of_directory(write_run(tmp_path / "a", [item, failed], [observation()], run))
    assert [entry.state for entry in found.entries] == [State.NEW, State.UNCONFIRMED, State.UNCONFIRMED]
    assert found.entries[0].slug == item.slug
    assert found.entries[2].details == "seen, but the run ended before it was confirmed"
    assert found.record.stop_reason == (ended or KILLED)


def test_a_finding_that_came_and_went_while_it_was_reduced_is_listed_once(tmp_path: Path) -> None:
    item = finding(minimal=False)
    run = record(unconfirmed=[{"signature": item.signature, "slug": item.slug, "reason": "it came and went"}])
    found = of_directory(write_run(tmp_path / "a", [item], run=run))
    assert [(entry.state, entry.details) for entry in found.entries] == [(State.UNCONFIRMED, "it came and went")]


def test_a_finding_whose_folder_is_gone_is_not_lost(tmp_path: Path) -> None:
    item = finding()
    (entry, *_) = of_directory(write_run(tmp_path / "a", run=record(findings=[{"signature": item.signature, "slug": item.slug}]))).entries
    assert (entry.state, entry.name) == (State.UNCONFIRMED, item.signature)
    assert "its folder is missing" in entry.details


def test_surface_and_symptom_are_those_of_the_signature() -> None:
    by_name = {entry.name: entry for entry in outcomes().entries}
    assert (by_name[str(FLAKY["signature"])].surface, by_name[str(FLAKY["signature"])].symptom) == ("functional.gemv_4bit", "hang")
    assert (by_name[str(LATE["signature"])].surface, by_name[str(LATE["signature"])].symptom) == ("nn.Linear4bit", "wrong value")
    assert by_name["a title of a row"].surface == ""


def test_details_end_with_where_the_script_is() -> None:
    (entry,) = outcomes(dataclasses.replace(finding(), got="several\nlines")).of(State.NEW)
    assert entry.details.splitlines() == ["expected: 1 within 2", "got: several", "lines", f"findings/{entry.slug}/repro.py"]
