"""How many Cases a run had done when: a bounded number of points, however long it is."""

from __future__ import annotations

from typing import Final

FINEST: Final = 0.5
"""Seconds between two points of a short run."""

MOST: Final = 240
"""Points; when there are more, every second one is dropped, and from then on half as many are taken."""


class Throughput:
    """The points of one run."""

    def __init__(self) -> None:
        self._points = [(0.0, 0)]
        self._step = FINEST

    def add(self, seconds: float, cases: int) -> None:
        """Take a point if the last one is long enough ago: `cases` were done after `seconds`."""
        if seconds - self._points[-1][0] < self._step:
            return
        self._points.append((round(seconds, 3), cases))
        if len(self._points) > MOST:
            self._points = self._points[::2]
            self._step *= 2

    def until(self, seconds: float, cases: int) -> list[list[float]]:
        """The points as [seconds, Cases], ending with this one."""
        earlier = [point for point in self._points if point[0] < seconds]
        return [list(point) for point in (*earlier, (round(seconds, 3), cases))]
