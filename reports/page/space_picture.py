"""The sizes of weights that a run has explored, and where something failed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.ticker import LogLocator

from reports.page.picture import Picture, canvas, picture
from reports.space import SIZES, Space, is_digits, smallest

_LARGEST_MARK: Final = 90.0
"""Points squared of the mark of a bin in which every Case failed."""
_SMALLEST_MARK: Final = 8.0
_DARKEST: Final = 64
"""Of the 256 colours of the scale, so many are too dark for a dark page."""
_EVERY: Final = 2
"""Powers of two between two labels of an axis."""

_CAPTION: Final = (
    "Each square holds the sizes from one power of two up to the next. A white cross says that something failed there; "
    "the larger it is, the more of the cases did."
)

Bins = dict[tuple[int, int], int]


def space_picture(space: Space) -> Picture | None:
    """The plot; None if nothing was counted or the bins are not numbers."""
    cases, failed = bins(space.cases.get(SIZES, {})), bins(space.failed.get(SIZES, {}))
    if not cases:
        return None
    with canvas(4.8, 4.0) as (figure, axes):
        rows, columns = (1 + max(key[axis] for key in cases) for axis in (0, 1))
        grid = [[cases.get((row, column), math.nan) for column in range(columns)] for row in range(rows)]
        image = axes.imshow(
            grid, origin="lower", cmap=_colours(), norm=LogNorm(1, max(2, *cases.values())), aspect="auto", interpolation="none"
        )
        figure.colorbar(image, ax=axes, label="cases", ticks=LogLocator(subs=(1, 2, 5)), format="{x:,.0f}").minorticks_off()
        _mark(axes, cases, failed)
        _label(axes, rows, columns)
        most = max(cases, key=lambda key: cases[key])
        alt = (
            f"{len(cases)} of {rows * columns} bins of sizes were explored, most densely out_features from {smallest(most[0])} "
            f"and in_features from {smallest(most[1])} ({cases[most]} cases). In {len(failed)} of them something failed."
        )
        return picture(figure, alt, _CAPTION)


def bins(counts: Mapping[str, int]) -> Bins:
    """Counts by pairs of numbers of digits, without those that are empty."""
    pairs = {name.partition(","): count for name, count in counts.items() if count}
    return {(int(one), int(other)): count for (one, _, other), count in pairs.items() if is_digits(one) and is_digits(other)}


def _colours() -> ListedColormap:
    """A scale that can be told from a light and from a dark ground at both ends, in every sort of colour vision."""
    scale = colormaps["viridis"]
    return ListedColormap([scale(index) for index in range(_DARKEST, scale.N)])


def _mark(axes: Axes, cases: Bins, failed: Bins) -> None:
    keys = [key for key in failed if key in cases]
    areas = [max(_LARGEST_MARK * min(failed[key] / cases[key], 1.0), _SMALLEST_MARK) for key in keys]
    axes.scatter(
        [key[1] for key in keys], [key[0] for key in keys], s=areas, marker="X", facecolor="white", edgecolor="black", linewidth=0.8
    )


def _label(axes: Axes, rows: int, columns: int) -> None:
    axes.set(xlabel="in_features, from", ylabel="out_features, from")
    axes.set_xticks(range(0, columns, _EVERY), [str(smallest(digits)) for digits in range(0, columns, _EVERY)])
    axes.set_yticks(range(0, rows, _EVERY), [str(smallest(digits)) for digits in range(0, rows, _EVERY)])
