"""Coverage as data and as lines, and of several runs together."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from reports.coverage import Coverage, lines, together
from reports.schema import RecordError

HERE = Coverage(
    values={"bias": {"False": 2, "True": 1}, "packed": {"returned": 3, "transposed": 0}},
    pairs=4,
    missing={"bias=False": ["packed=transposed"], "bias=True": ["packed=transposed"]},
    arms={"matmul_4bit": {"linear": 3}},
)
THERE = Coverage(
    values={"bias": {"False": 0, "True": 4}, "packed": {"returned": 0, "transposed": 4}},
    pairs=4,
    missing={"bias=False": ["packed=returned", "packed=transposed"], "bias=True": ["packed=returned"]},
    arms={"matmul_4bit": {"simt": 1, "linear": 1}, "gemv_4bit": {"gemv": 2}},
)


def test_what_it_comes_to() -> None:
    assert (HERE.visited_pairs, HERE.never_drawn) == (2, ["packed=transposed"])
    assert (Coverage().visited_pairs, Coverage().never_drawn) == (0, [])


def test_there_and_back() -> None:
    assert Coverage.from_json(json.loads(json.dumps(HERE.to_json())), "it") == HERE


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"values": {"bias": 1}}, "'bias' of 'values' of it is not a JSON object"),
        ({"values": {"bias": {"True": -1}}}, "'True' of 'bias' of 'values' of it is not a count"),
        ({"pairs": "4"}, "'pairs' of it is not a count"),
        ({"missing": {"bias=True": "packed"}}, "'bias=True' of 'missing' of it is not a JSON array"),
        ({"colour": 1}, "it has an unknown member 'colour'"),
    ],
)
def test_what_is_malformed_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecordError, match=f"^{sentence}$"):
        Coverage.from_json(HERE.to_json() | changes, "it")


def test_lines() -> None:
    assert list(lines(HERE)) == [
        "coverage: 3 of 4 values, 2 of 4 pairs of values (50.0 %)",
        "  bias         False: 2; True: 1",
        "  packed       returned: 3; transposed: 0",
        "  matmul_4bit  linear: 3",
        "never drawn: packed=transposed",
    ]
    assert "never drawn" not in "".join(lines(together([HERE, THERE])))
    assert list(lines(Coverage())) == []


CPU = dataclasses.replace(
    HERE,
    pairs=2,
    missing={"bias=True": ["packed=returned"]},
    unreachable={"packed=transposed": "a CPU has none"},
)
"""The same on a device on which one class cannot be."""


def test_what_is_not_reachable_is_not_missed_and_the_reason_is_said() -> None:
    assert CPU.never_drawn == []
    assert next(lines(CPU)) == "coverage: 3 of 3 values, 1 of 2 pairs of values (50.0 %)"
    assert [*lines(CPU)][-1] == "not reachable: packed=transposed (a CPU has none)"
    assert Coverage.from_json(json.loads(json.dumps(CPU.to_json())), "it") == CPU


def test_a_record_that_knows_of_nothing_unreachable_is_read() -> None:
    earlier = {name: value for name, value in HERE.to_json().items() if name != "unreachable"}
    assert Coverage.from_json(earlier, "it") == HERE


def test_a_pair_that_one_device_cannot_have_is_missing_where_the_other_has_missed_it() -> None:
    for parts in ([HERE, CPU], [CPU, HERE]):
        both = together(parts)
        assert both.missing == HERE.missing
        assert (both.pairs, both.unreachable) == (4, {})
    assert together([CPU, CPU]).missing == CPU.missing
    assert together([CPU, CPU]).unreachable == CPU.unreachable


def test_several_runs_have_visited_what_one_of_them_has() -> None:
    both = Coverage(
        values={"bias": {"False": 2, "True": 5}, "packed": {"returned": 3, "transposed": 4}},
        pairs=4,
        missing={"bias=False": ["packed=transposed"]},
        arms={"matmul_4bit": {"linear": 4, "simt": 1}, "gemv_4bit": {"gemv": 2}},
    )
    assert together([HERE, THERE]) == both
    assert together([Coverage(), HERE, Coverage()]) == HERE
    assert together([]) == Coverage()
    assert together([HERE, HERE]).missing == HERE.missing
