"""A heat map of the errors over an output or a weight: what is within the bound is cool, what is beyond it warm and crossed out."""

from __future__ import annotations

from typing import Final

from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.ticker import MaxNLocator

from reports.errors import WRONG, ErrorGrid
from reports.page.picture import Picture, canvas, picture

_LIMITS: Final = (0.0, 0.5, 1.0, 10.0, 1e3, 1e6, 1e9)
"""Between two of these an error over bound has one colour; 1 is the bound."""
_COLOURS: Final = ("#c6dbef", "#6baed6", "#fdae6b", "#f16913", "#cb181d", "#67000d")
_BEYOND: Final = "#3b0a45"
_WITHIN_A_TILE: Final = (12, 6)
"""Columns and rows of tiles up to which there is room for the number in each."""
_BELOW: Final = 0.3
"""Where in a tile the number is, below a cross, in rows from its centre."""
_MOST_CROSSES: Final = 64
"""Wrong tiles up to which each is crossed out; of more, colour and words have to do."""

_CAPTION: Final = "Error over bound: beyond 1 no rounding explains it."
_CROSSED: Final = "A cross marks what is wrong."


def errors_picture(grid: ErrorGrid, case: str) -> Picture | None:
    """The heat map of an output of the Case that is called `case`; None if it is a single number, which has been said."""
    if grid.tiles < 2:  # noqa: PLR2004
        return None
    rows, columns = len(grid.ratios), len(grid.ratios[0])
    with canvas(4.6, 1.4 + min(0.2 * rows, 2.7)) as (figure, axes):
        shown = [[_LIMITS[-1] if ratio is None else ratio for ratio in row] for row in grid.ratios]
        scale = ListedColormap(_COLOURS).with_extremes(over=_BEYOND)
        extent = (-0.5, columns * grid.tile[1] - 0.5, rows * grid.tile[0] - 0.5, -0.5)
        image = axes.imshow(shown, cmap=scale, norm=BoundaryNorm(_LIMITS, scale.N), aspect="auto", extent=extent, interpolation="none")
        figure.colorbar(image, ax=axes, extend="max", ticks=_LIMITS[1:], format="{x:g}")
        axes.set(xlabel="last dimension", ylabel="rows", ylim=(grid.shape[0] - 0.5, -0.5), xlim=(-0.5, grid.shape[1] - 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, nbins=5))
        crossed = _mark(axes, grid)
        caption = f"{case[0].upper()}{case[1:]}. {_CAPTION}{f' {_CROSSED}' if crossed else ''}"
        return picture(figure, f"Heat map of {case}: {words(grid)}", caption)


def words(grid: ErrorGrid) -> str:
    """What a heat map shows."""
    wrong = sum(row.count(WRONG) for row in grid.wrong)
    parts = f"{grid.shape[0]} x {grid.shape[1]} numbers"
    if grid.tile != (1, 1):
        parts += f" in {len(grid.ratios)} x {len(grid.ratios[0])} tiles of {grid.tile[0]} x {grid.tile[1]}"
    every = [(row, column) for row, line in enumerate(grid.wrong) for column, mark in enumerate(line) if mark == WRONG]
    if not every:
        return f"{parts}, none of them wrong."
    (top, bottom), (left, right) = ((min(each), max(each)) for each in zip(*every, strict=True))
    where = f"rows {_span(top, bottom, grid, 0)}, columns {_span(left, right, grid, 1)}"
    return f"{parts}, {wrong} of {grid.tiles} are wrong, within {where}. The largest error is {_largest(grid)}."


def _span(first: int, last: int, grid: ErrorGrid, axis: int) -> str:
    """The indices that tiles from the first to the last hold."""
    begin, end = first * grid.tile[axis], min((last + 1) * grid.tile[axis], grid.shape[axis]) - 1
    return str(begin) if begin == end else f"{begin} to {end}"


def _largest(grid: ErrorGrid) -> str:
    every = [ratio for row in grid.ratios for ratio in row]
    finite = max((ratio for ratio in every if ratio is not None), default=0.0)
    return "no finite number" if None in every else f"{finite:.3g} times the bound"


def _mark(axes: Axes, grid: ErrorGrid) -> bool:
    """Write the number into each tile if there is room for it, and cross out what is wrong, if that is not too much; whether it was."""
    columns, rows = len(grid.ratios[0]), len(grid.ratios)
    if columns <= _WITHIN_A_TILE[0] and rows <= _WITHIN_A_TILE[1]:
        for row, line in enumerate(grid.ratios):
            for column, ratio in enumerate(line):
                _write(axes, ratio, _centre(column, row + _BELOW, grid))
    crossed = [(row, column) for row, line in enumerate(grid.wrong) for column, mark in enumerate(line) if mark == WRONG]
    if len(crossed) > _MOST_CROSSES:
        return False
    for colour in ("white", "black"):
        places = [_centre(column, row, grid) for row, column in crossed if _ink(grid.ratios[row][column]) == colour]
        axes.scatter([x for x, _ in places], [y for _, y in places], s=12, marker="x", color=colour, linewidth=1)
    return True


def _ink(ratio: float | None) -> str:
    """What can be seen on a tile."""
    return "white" if ratio is None or ratio >= _LIMITS[4] else "black"


def _write(axes: Axes, ratio: float | None, place: tuple[float, float]) -> None:
    axes.text(*place, "inf" if ratio is None else f"{ratio:.2g}", ha="center", va="center", fontsize=8, color=_ink(ratio))


def _centre(column: float, row: float, grid: ErrorGrid) -> tuple[float, float]:
    return (column + 0.5) * grid.tile[1] - 0.5, (row + 0.5) * grid.tile[0] - 0.5
