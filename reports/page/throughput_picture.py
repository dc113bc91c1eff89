"""Cases a second over the time of a run."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

from reports.page.picture import INK, Picture, canvas, picture

_FEWEST: Final = 3
"""Points without which there is nothing to see."""

_CAPTION: Final = "Where it is low the run reduces and confirms failures, or replaces children that died: what that takes is not counted."


def throughput_picture(points: Sequence[Sequence[float]]) -> Picture | None:
    """The plot of [seconds, Cases]; None of too few points."""
    rising = [point for number, point in enumerate(points) if not number or point[0] > points[number - 1][0]]
    if len(rising) < _FEWEST:
        return None
    rates = [(after[1] - before[1]) / (after[0] - before[0]) for before, after in itertools.pairwise(rising)]
    with canvas(5.4, 2.2) as (figure, axes):
        axes.stairs(rates, [point[0] for point in rising], color="#2b7bba", fill=True, alpha=0.55)
        axes.stairs(rates, [point[0] for point in rising], color=INK, linewidth=0.8)
        axes.set(xlabel="seconds", ylabel="cases a second", xlim=(0, rising[-1][0]), ylim=(0, max([*rates, 1.0]) * 1.05))
        seconds, cases = rising[-1]
        alt = f"Throughput from {min(rates):.3g} to {max(rates):.3g} cases a second, {cases:.0f} cases in {seconds:.0f} seconds."
        return picture(figure, alt, _CAPTION)
