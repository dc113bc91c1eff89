"""The grid of errors as data."""

from __future__ import annotations

from typing import Any

import pytest

from reports.errors import ErrorGrid
from reports.schema import RecordError

GRID = ErrorGrid(shape=(3, 200), tile=(2, 100), ratios=((0.5, None), (2.0, 0.0)), wrong=(".x", "x."))


def test_there_and_back() -> None:
    assert ErrorGrid.from_json(GRID.to_json()) == GRID
    assert GRID.tiles == 4


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ratios": [[1.0], [1.0, 2.0]]}, "the errors are not a grid"),
        ({"ratios": []}, "the errors are not a grid"),
        ({"ratios": [[], []], "wrong": ["", ""]}, "the errors are not a grid"),
        ({"wrong": [".."]}, "the errors are not a grid"),
        ({"shape": [1]}, "the errors are not a grid"),
        ({"tile": [1, 2, 3]}, "the errors are not a grid"),
        ({"ratios": [["1"]]}, "an item of an item of 'ratios' of the errors is not a finite number"),
        ({"colour": 1}, "the errors has an unknown member 'colour'"),
    ],
)
def test_what_is_malformed_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecordError, match=f"^{sentence}$"):
        ErrorGrid.from_json(GRID.to_json() | changes)
