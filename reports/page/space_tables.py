"""What a run has explored and where it failed, as numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from reports.space import ARMS, DTYPES, ROWS, SIZES, Space, is_digits, smallest

_HEADINGS: Final = {ROWS: "Rows of the activation", DTYPES: "Dtype of the activation", ARMS: "Kernels that may have run", SIZES: "Sizes"}
_COUNTED: Final = {ARMS: "verdicts"}


@dataclass(frozen=True, slots=True)
class Row:
    """A bin: its name, and how many Cases or verdicts it had and how many of them failed."""

    label: str
    count: int
    failed: int

    @property
    def share(self) -> float:
        """The part that failed, from 0 to 1."""
        return self.failed / self.count if self.count else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The bins of one sort; `counted` says whether they count cases or verdicts, `long` whether it is to be folded."""

    heading: str
    counted: str
    rows: tuple[Row, ...]
    long: bool


def tables(space: Space) -> Iterator[Table]:
    """The tables of what was counted, the short ones first."""
    for name, heading in _HEADINGS.items():
        if counts := space.cases.get(name):
            failed = space.failed.get(name, {})
            rows = tuple(Row(_label(name, key), counts[key], failed.get(key, 0)) for key in sorted(counts, key=_numbers))
            yield Table(heading=heading, counted=_COUNTED.get(name, "cases"), rows=rows, long=name == SIZES)


def _numbers(key: str) -> tuple[tuple[int, ...], str]:
    """Sorts numbers of digits as numbers, and everything else as text."""
    parts = key.split(",")
    return (tuple(map(int, parts)) if all(map(is_digits, parts)) else (), key)


def _label(name: str, key: str) -> str:
    parts = key.split(",")
    if name not in {ROWS, SIZES} or not all(map(is_digits, parts)):
        return key
    return " x ".join(_range(int(part)) for part in parts)


def _range(digits: int) -> str:
    least, most = smallest(digits), smallest(digits + 1) - 1
    return f"{least} to {most}" if least < most else str(least)
