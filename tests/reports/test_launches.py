"""Launched kernels as data and as lines, and of several runs together."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reports.launches import Launches, lines, of_all
from reports.schema import RecordError

HERE = Launches(
    cases=3, launched={"a<1>": 4, "b<1>": 0, "c<1>": 0, "c<2>": 0, "d": 0}, unreachable={"c<1>": "no c", "c<2>": "no c", "d": "a"}
)


def test_lines() -> None:
    assert list(lines(HERE)) == [
        "kernels launched: 1 of 2 that this GPU may run, of 5 4-bit kernels in the library (by 3 cases under a profiler)",
        "never launched: b<1>",
        "not launched on this GPU: d (a)",
        "not launched on this GPU: c<1>; c<2> (no c)",
    ]
    assert list(lines(Launches())) == []


def test_what_was_launched_in_spite_of_a_reason_counts_as_launched() -> None:
    wrong = Launches(cases=1, launched={"a": 1}, unreachable={"a": "never"})
    assert list(lines(wrong)) == [
        "kernels launched: 1 of 1 that this GPU may run, of 1 4-bit kernels in the library (by 1 case under a profiler)"
    ]


def test_there_and_back() -> None:
    assert Launches.from_json(json.loads(json.dumps(HERE.to_json())), "it") == HERE


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"cases": -1}, "'cases' of it is not a count"),
        ({"launched": {"a": "1"}}, "'a' of 'launched' of it is not a count"),
        ({"unreachable": {"a": 1}}, "'a' of 'unreachable' of it is not text"),
        ({"colour": 1}, "it has an unknown member 'colour'"),
    ],
)
def test_what_is_malformed_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecordError, match=f"^{sentence}$"):
        Launches.from_json(HERE.to_json() | changes, "it")


def test_of_several_runs() -> None:
    there = Launches(cases=2, launched={"a<1>": 1, "b<1>": 2, "c<1>": 0, "e": 0}, unreachable={"e": "no e"})
    both = of_all([Launches(), HERE, there])
    assert both == Launches(
        cases=5,
        launched={"a<1>": 5, "b<1>": 2, "c<1>": 0, "c<2>": 0, "d": 0, "e": 0},
        unreachable={"c<2>": "no c", "d": "a", "e": "no e"},
    ), "one of them may launch c<1>"
    assert of_all([there, HERE]).unreachable == both.unreachable
    assert of_all([]) == Launches()
