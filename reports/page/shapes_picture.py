"""The shape that is due and the one that came, side by side."""

from __future__ import annotations

import math
import re
from typing import Final

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from reports.page.picture import FAILURE, INK, Picture, canvas, picture

_SHAPE: Final = re.compile(r"shape \(((?:\d{1,9}(?:, ?|,?(?=\))))*)\)")
"""As a verdict on a wrong shape has it."""

_GAP: Final = 1.5
_LINES: Final = {"expected": (INK, "-"), "got": (FAILURE, "--")}


def shapes_picture(expected: str, got: str) -> Picture | None:
    """Both shapes as rectangles; None if the texts are no shapes."""
    shapes = [_parsed(expected), _parsed(got)]
    if None in shapes:
        return None
    due, came = (shape or () for shape in shapes)
    with canvas(4.2, 1.8) as (figure, axes):
        right = _draw(axes, due, 0.0, "expected")
        end = _draw(axes, came, right + _GAP, "got")
        axes.set(xlim=(-0.2, end + 0.2), ylim=(-1.6, 1.4 + max(_sides(due)[0], _sides(came)[0])))
        axes.set_axis_off()
        caption = "All dimensions but the last from top to bottom, the last from left to right. Sides grow with the logarithm of the size."
        return picture(figure, f"Expected shape {due}, got shape {came}.", caption)


def _parsed(text: str) -> tuple[int, ...] | None:
    found = _SHAPE.fullmatch(text)
    return tuple(int(part) for part in re.findall(r"\d+", found[1])) if found else None


def _sides(shape: tuple[int, ...]) -> tuple[float, float]:
    """Height and width of a shape's rectangle."""
    rows, columns = math.prod(shape[:-1]), shape[-1] if shape else 1
    return 1 + math.log2(1 + rows) / 2, 1.5 + math.log2(1 + columns) / 2


def _draw(axes: Axes, shape: tuple[int, ...], left: float, words: str) -> float:
    """Draw a shape; returns where it ends."""
    height, width = _sides(shape)
    colour, line = _LINES[words]
    axes.add_patch(Rectangle((left, 0), width, height, fill=False, edgecolor=colour, linestyle=line, linewidth=2))
    axes.text(left + width / 2, height + 0.25, words, ha="center", va="bottom")
    axes.text(left + width / 2, -0.25, str(shape), ha="center", va="top")
    return left + width
