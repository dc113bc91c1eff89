"""The small grid of errors that a verdict carries."""

from __future__ import annotations

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fuzz.engine.error_grid import MOST_COLUMNS, MOST_ROWS, error_grid
from reports.errors import ErrorGrid


def test_a_small_output_is_kept_as_it_is() -> None:
    ratio = torch.tensor([[0.5, 12345.6], [math.nan, math.inf]], dtype=torch.float64)
    assert error_grid(ratio, ratio != 0.5) == ErrorGrid(
        shape=(2, 2), tile=(1, 1), ratios=((0.5, 12300.0), (None, None)), wrong=(".x", "xx")
    )


@pytest.mark.parametrize(("shape", "matrix"), [((), (1, 1)), ((3,), (1, 3)), ((2, 1, 3), (2, 3)), ((4, 1), (4, 1))])
def test_all_dimensions_but_the_last_are_rows(shape: tuple[int, ...], matrix: tuple[int, int]) -> None:
    ratio = torch.zeros(shape, dtype=torch.float64)
    assert error_grid(ratio, ratio > 0).shape == matrix


@given(st.integers(1, 150), st.integers(1, 300), st.data())
def test_one_wrong_output_is_in_one_tile_and_nowhere_else(rows: int, columns: int, data: st.DataObject) -> None:
    row, column = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    ratio = torch.zeros((rows, columns), dtype=torch.float64)
    ratio[row, column] = 7.0
    grid = error_grid(ratio, ratio > 1)
    assert len(grid.ratios) <= MOST_ROWS
    assert len(grid.ratios[0]) <= MOST_COLUMNS
    found = [(i, j) for i, line in enumerate(grid.ratios) for j, value in enumerate(line) if value]
    assert found == [(row // grid.tile[0], column // grid.tile[1])]
    assert [(i, j) for i, line in enumerate(grid.wrong) for j, mark in enumerate(line) if mark == "x"] == found
    assert ErrorGrid.from_json(json.loads(json.dumps(grid.to_json(), allow_nan=False))) == grid


def test_the_grid_of_a_large_output_is_small() -> None:
    ratio = torch.rand((4096, 8192), dtype=torch.float64)
    assert len(json.dumps(error_grid(ratio, ratio > 2).to_json())) < 10_000
