"""Parts that workers wrote become one run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from reports.events import Events, read_events
from reports.gather import NOTHING, gather, part
from reports.run import RunRecord
from reports.stored import read_run
from tests.reports.helpers import SYSTEM, finding
from tests.reports.stored_runs import contents, of, record, write_run

RUN = "a-run"
IDLE = record(cases=0, surfaces={}, stop_reason=NOTHING, warnings=["the known issue 'x' matched nothing"])


def silent(_: str) -> None:
    """Told of what cannot be read."""


def listing(*changes: str, **values: object) -> RunRecord:
    """The record of a worker that lists these findings of `finding(how=...)`."""
    entries = [{"signature": finding(how=how).signature, "slug": finding(how=how).slug, "cases": 17} for how in changes]
    return record(findings=entries, **values)


def two_parts(root: Path) -> None:
    """A worker with one finding, one with two of which one is the same, and one that had nothing to do."""
    one, two = finding(how="one"), finding(how="two")
    write_run(part(root, RUN, "gw0"), [one], [of(one)], listing("one", seconds=50.0))
    write_run(part(root, RUN, "gw1"), [one, two], [of(two)], listing("one", "two", seconds=40.0, cases=5))
    write_run(part(root, RUN, "gw2"), run=IDLE)


def test_two_workers_are_one_run(tmp_path: Path) -> None:
    two_parts(tmp_path)
    gathered = gather(tmp_path, RUN, silent)
    assert gathered is not None
    run, findings = gathered
    assert [item.how for item in findings] == ["one", "two"]
    assert [item.observed for item in findings] == [34, 17]
    assert (run.cases, run.seconds, run.budget, run.stop_reason, run.warnings) == (15, 50.0, 60.0, "time", [])
    stored = read_run(tmp_path, silent)
    assert stored.record == run
    assert sorted(stored.findings) == sorted(item.signature for item in findings)
    assert len(stored.observations) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.ndjson", "findings", "observations.jsonl", "run.json"]


def test_what_earlier_runs_left_there_stays(tmp_path: Path) -> None:
    earlier = finding(how="earlier")
    write_run(tmp_path, [earlier], [of(earlier)], listing("earlier"))
    two_parts(tmp_path)
    gathered = gather(tmp_path, RUN, silent)
    assert gathered is not None
    assert [item.how for item in gathered[1]] == ["one", "two"]
    stored = read_run(tmp_path, silent)
    assert earlier.signature in stored.findings
    assert len(stored.observations) == 3


@pytest.mark.parametrize(
    ("reasons", "reason"),
    [
        (("time", "cases"), "time"),
        (("time", "running"), "interrupted"),
        (("interrupted", "cases"), "interrupted"),
        (("cases", NOTHING), "cases"),
        ((NOTHING, NOTHING), NOTHING),
    ],
)
def test_a_run_stopped_as_the_worker_that_came_least_far(tmp_path: Path, reasons: tuple[str, str], reason: str) -> None:
    for number, one in enumerate(reasons):
        write_run(part(tmp_path, RUN, f"gw{number}"), run=record(stop_reason=one))
    gathered = gather(tmp_path, RUN, silent)
    assert gathered is not None
    assert gathered[0].stop_reason == reason


def test_events_are_in_the_order_of_time_and_name_their_worker(tmp_path: Path) -> None:
    for name, seconds in (("gw0", 2.0), ("gw1", 1.0)):
        place = write_run(part(tmp_path, RUN, name), run=record())
        Events(place, lambda seconds=seconds: seconds).started(SYSTEM, 5, 60.0)  # type: ignore[misc]
    gather(tmp_path, RUN, silent)
    assert [json.loads(line)["worker"] for line in read_events(tmp_path)] == ["gw1", "gw0"]


def test_parts_of_another_run_are_left_alone(tmp_path: Path) -> None:
    write_run(part(tmp_path, "another", "gw0"), [finding()], run=record())
    before = contents(tmp_path)
    assert gather(tmp_path, RUN, silent) is None
    assert contents(tmp_path) == before


def test_a_worker_that_was_killed_before_it_wrote_a_record(tmp_path: Path) -> None:
    item = dataclasses.replace(finding(), observed=2)
    write_run(part(tmp_path, RUN, "gw0"), [item], [of(item)])
    gathered = gather(tmp_path, RUN, silent)
    assert gathered is not None
    assert [found.signature for found in gathered[1]] == [item.signature]
