"""Makes the small grid of errors that a verdict carries."""

from __future__ import annotations

import math
from typing import Final

import torch

from reports.errors import RIGHT, WRONG, ErrorGrid

MOST_ROWS: Final = 16
MOST_COLUMNS: Final = 64
"""Tiles; a verdict with so many is 8 kB of JSON and takes a child a few milliseconds, a small output a tenth of one."""

_DIGITS: Final = 3
"""Significant digits that are kept of a ratio."""


def error_grid(ratio: torch.Tensor, wrong: torch.Tensor) -> ErrorGrid:
    """The grid of an output.

    Args:
        ratio: error over bound of each output, float64. What is no number counts as infinite.
        wrong: which outputs are wrong (bool, same number of elements).
    """
    columns = ratio.shape[-1] if ratio.dim() else 1
    # On the CPU, because what is wrong may have lost more than an output.
    matrix = ratio.detach().cpu().double().nan_to_num(nan=math.inf, posinf=math.inf).reshape(-1, columns)
    marks = wrong.detach().cpu().reshape(-1, columns).double()
    tile = (math.ceil(matrix.shape[0] / MOST_ROWS), math.ceil(columns / MOST_COLUMNS))
    return ErrorGrid(
        shape=(matrix.shape[0], columns),
        tile=tile,
        ratios=tuple(tuple(map(_rounded, row)) for row in _largest(matrix, tile)),
        wrong=tuple("".join(WRONG if mark else RIGHT for mark in row) for row in _largest(marks, tile)),
    )


def _largest(matrix: torch.Tensor, tile: tuple[int, int]) -> list[list[float]]:
    """The largest number of each tile."""
    pooled = torch.nn.functional.max_pool2d(matrix[None, None], tile, stride=tile, ceil_mode=True)
    rows: list[list[float]] = pooled[0, 0].tolist()
    return rows


def _rounded(ratio: float) -> float | None:
    return float(f"{ratio:.{_DIGITS}g}") if math.isfinite(ratio) else None
