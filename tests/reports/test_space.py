"""Counts by bin as data, and of several runs together."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reports.schema import RecordError
from reports.space import ROWS, SIZES, Space, united

HERE = Space(cases={SIZES: {"0,6": 3, "7,7": 1}, ROWS: {"0": 4}}, failed={SIZES: {"7,7": 1}})
THERE = Space(cases={SIZES: {"0,6": 2, "1,1": 1}}, failed={ROWS: {"0": 1}})


def test_there_and_back() -> None:
    assert Space.from_json(json.loads(json.dumps(HERE.to_json())), "it") == HERE


def test_several_runs_have_explored_what_each_has() -> None:
    both = Space(cases={SIZES: {"0,6": 5, "7,7": 1, "1,1": 1}, ROWS: {"0": 4}}, failed={SIZES: {"7,7": 1}, ROWS: {"0": 1}})
    assert united([HERE, THERE]) == both
    assert united([]) == Space()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"cases": {}}, "it lacks 'failed'"),
        ({"cases": {"rows": {"0": -1}}, "failed": {}}, "'0' of 'rows' of 'cases' of it is not a count"),
        ({"cases": {}, "failed": {"rows": 3}}, "'rows' of 'failed' of it is not a JSON object"),
    ],
)
def test_what_is_malformed_is_one_sentence(data: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecordError, match=f"^{sentence}$"):
        Space.from_json(data, "it")
