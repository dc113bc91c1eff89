"""Counts of judged outputs, by arm and dtype, and the rows of a calibration that they make."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import torch

from fuzz.oracle.arms import Arm
from fuzz.oracle.calibration import Row
from fuzz.oracle.operands import Nested


@dataclass(slots=True)
class Counts:
    """Outputs judged by one emulation."""

    outside_interval: int = 0
    different: int = 0


@dataclass(slots=True)
class Tally:
    """Counts of one arm in one dtype. `by_nested`: with each evaluation of compressed scales."""

    outputs: int = 0
    outside_bound: int = 0
    by_nested: defaultdict[Nested, Counts] = field(default_factory=lambda: defaultdict(Counts))

    def row(self, arm: Arm, dtype: str) -> Row:
        """The row: the evaluations that agree best, which are those that no output contradicts; none without an emulation."""
        best = min(((counts.outside_interval, counts.different) for counts in self.by_nested.values()), default=(0, 0))
        agreeing = [nested for nested, counts in self.by_nested.items() if (counts.outside_interval, counts.different) == best]
        return Row(
            arm=arm,
            dtype=dtype,
            nested=tuple(sorted(agreeing, key=lambda nested: nested.value)),
            outputs=self.outputs,
            outside_bound=self.outside_bound,
            outside_interval=best[0],
            different=best[1],
        )


class Tallies:
    """The tallies of all arms and dtypes, and how often each setting was covered."""

    def __init__(self) -> None:
        self._tallies: defaultdict[tuple[Arm, str], Tally] = defaultdict(Tally)
        self.covered: defaultdict[tuple[Arm, str], set[tuple[str, ...]]] = defaultdict(set)

    def of(self, arm: Arm, dtype: torch.dtype) -> Tally:
        """The tally of an arm in a dtype."""
        return self._tallies[arm, str(dtype).removeprefix("torch.")]

    def cover(self, arm: Arm, dtype: torch.dtype, *values: str) -> None:
        """Remember a combination of values that was measured on an arm."""
        self.covered[arm, str(dtype).removeprefix("torch.")].add(values)

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows, in the order of arms and dtypes."""
        order = list(Arm)
        keys = sorted(self._tallies, key=lambda key: (order.index(key[0]), key[1]))
        return tuple(self._tallies[key].row(*key) for key in keys)

    @property
    def outputs(self) -> int:
        """Outputs of products that were judged so far, dequantized weights not counted."""
        return sum(tally.outputs for (arm, _), tally in self._tallies.items() if arm is not Arm.DEQUANTIZE)
