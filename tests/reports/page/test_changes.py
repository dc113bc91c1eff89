"""What has changed since the run before."""

from __future__ import annotations

from typing import Any

from reports.page.changes import Change, Changes, State, changes
from reports.previous import Previous
from tests.reports.helpers import SYSTEM
from tests.reports.stored_runs import record


def listed(*names: str) -> list[dict[str, Any]]:
    return [{"signature": name, "slug": f"{name}-1"} for name in names]


def test_new_still_there_and_not_seen() -> None:
    previous = Previous(date="2026-01-01", system={**SYSTEM, "bitsandbytes": "0.49.2"}, findings=listed("a", "b"))
    assert changes(record(findings=listed("b", "c"), previous=previous)) == Changes(
        date="2026-01-01",
        machine="bitsandbytes 0.49.2, cpu: a processor",
        all=(
            Change(state=State.NEW, signature="c", slug="c-1"),
            Change(state=State.STILL_THERE, signature="b", slug="b-1"),
            Change(state=State.NOT_SEEN, signature="a", slug="a-1"),
        ),
    )


def test_those_of_one_state() -> None:
    found = changes(record(findings=listed("b"), previous=Previous(date="", findings=listed("a", "b"))))
    assert found is not None
    assert [change.signature for change in found.of(State.NOT_SEEN)] == ["a"]
    assert found.of(State.NEW) == ()


def test_without_a_run_before_there_is_nothing_to_compare_with() -> None:
    assert changes(record(findings=listed("a"))) is None


def test_what_a_run_that_goes_on_has_not_listed_is_not_fixed() -> None:
    assert changes(record(stop_reason="running", previous=Previous(date="", findings=listed("a")))) is None


def test_two_runs_that_found_nothing() -> None:
    found = changes(record(previous=Previous(date="")))
    assert found == Changes(date="", machine="bitsandbytes ?, unknown device: ", all=())
