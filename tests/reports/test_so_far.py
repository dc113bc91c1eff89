"""What workers have done so far, by what they have written."""

from __future__ import annotations

from pathlib import Path

from reports.events import Events
from reports.gather import part
from reports.run import RUNNING, RunDirectory
from reports.so_far import SoFar, so_far
from tests.reports.helpers import RARE, SYSTEM, finding
from tests.reports.stored_runs import record

RUN = "a-run"


def write(root: Path, worker: str, cases: int, seconds: float, *found: str) -> None:
    """A worker that has found some things, and has not ended."""
    place = part(root, RUN, worker)
    now = record(cases=cases, seconds=seconds, stop_reason=RUNNING)
    RunDirectory(place).write_run(now)
    events = Events(place, lambda: seconds)
    events.started(SYSTEM, 1, 60.0)
    events.noted(now, [*(finding(how=how) for how in found), finding(how="rare", **RARE)])


def test_before_anything_is_written_there_is_nothing(tmp_path: Path) -> None:
    assert so_far(tmp_path, RUN) == SoFar(0, 0, 0.0, 0)


def test_cases_are_added_and_what_two_have_found_counts_once(tmp_path: Path) -> None:
    write(tmp_path, "gw0", 300, 10.0, "one")
    write(tmp_path, "gw1", 100, 8.0, "one", "two")
    assert so_far(tmp_path, RUN) == SoFar(2, 400, 40.0, 2)


def test_a_worker_that_has_only_begun_and_another_run_do_not_count(tmp_path: Path) -> None:
    write(tmp_path, "gw0", 300, 10.0)
    (part(tmp_path, RUN, "gw1") / "findings").mkdir(parents=True)
    RunDirectory(part(tmp_path, "another", "gw0")).write_run(record(cases=7))
    assert so_far(tmp_path, RUN) == SoFar(1, 300, 30.0, 0)
