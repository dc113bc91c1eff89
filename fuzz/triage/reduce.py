"""Reduces a failing Case: every field neutral that can be, every dimension as small as it can be.

It works on the Case and not on Hypothesis' choices: Cases also come from files and from other machines, each trial must
go through the executor, and the result must not depend on what order the strategies draw in.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fuzz.triage.examine import other_view
from strategies import fields
from strategies.case import Case, CaseError, Fill, Layout

REVEALING: Final = (
    {"weight.fill": Fill.NORMAL, "activation.fill": Fill.NORMAL},
    {"weight.fill": Fill.NORMAL},
    {"activation.fill": Fill.NORMAL},
    {"weight.fill": Fill.HUGE, "activation.fill": Fill.HUGE},
    {"weight.fill": Fill.TINY, "activation.fill": Fill.TINY},
)
"""Fills to start from, the first that fails: no two elements or blocks are alike, then far from 1. Reduction ends duller.
Where it starts must not depend on what was drawn, or the same defect ends with other fills, sizes and dtypes."""

FIRST_SEEDS: Final = 3
"""Seeds from 0 on that are tried before anything else is reduced, for the same reason."""

TRADES: Final = ((fields.DIMENSIONS[0], fields.DIMENSIONS[1]), (fields.DIMENSIONS[0], fields.ROWS), (fields.DIMENSIONS[1], fields.ROWS))
"""Pairs of sizes: the first is rather small than the second."""

TURNED_FILLS: Final = (Fill.ONE_HOT, Fill.INTEGERS, Fill.NORMAL)
"""Fillings that are tried when a weight is turned around."""

ALIGNED: Final = 64
"""A size that is tried in place of zero, which is a multiple of everything."""

MAX_ROUNDS: Final = 16
"""Rounds over all fields; the second usually changes nothing and ends the reduction."""


@dataclass(frozen=True, slots=True)
class Reduction:
    """The minimal Case, how many trials it took, and whether it was finished in time."""

    case: Case
    trials: int
    finished: bool


class OutOfTime(Exception):  # noqa: N818 - not an error: reduction stops with what it has
    """Raised by a predicate to end the reduction."""


def reduce_case(case: Case, fails: Callable[[Case], bool]) -> Reduction:
    """The simplest Case near `case` for which `fails` holds.

    Args:
        case: a Case for which `fails` holds; it is not tried again.
        fails: tells whether a Case still shows the same failure; may raise `OutOfTime`.

    The result is minimal in this sense: no choice field can be set to a duller value, and no dimension made smaller
    by one, with the failure still there; a size of zero stays only where that of one does not fail.
    """
    reducer = _Reducer(case, fails)
    try:
        finished = reducer.reduce()
    except OutOfTime:
        finished = False
    return Reduction(reducer.best, reducer.trials, finished)


class _Reducer:
    def __init__(self, case: Case, fails: Callable[[Case], bool]) -> None:
        self.best = fields.canonical(case)
        self.trials = 0
        self._fails = fails
        self._known = {self.best: True}

    def reduce(self) -> bool:
        self._neutralize([name for name in fields.CHOICES if name != "activation.rank"], split=False)
        self._shrink_seed()
        if fields.triggers(self.best):
            # A dull fill hides many failures and would hold on to a layout or a dtype that it happens to need.
            any(self._try_fields(fills) for fills in REVEALING)
            self._neutralize([name for name in fields.CHOICES if name not in (*fields.FILLS, "activation.rank")], split=True)
        finished = self._reduce_under_fills(trade=True)
        for name in fields.FILLS:
            self._first_of(name, fields.duller(name, fields.get(self.best, name)))
        # A dull fill may show the failure at fewer sizes, but what is traded under it depends on where its numbers lie.
        return self._reduce_under_fills(trade=False) and finished

    def _reduce_under_fills(self, *, trade: bool) -> bool:
        """Reduce everything but the fills, if `trade` first; then the fills are no longer revealing."""
        for _ in range(MAX_ROUNDS):
            before = self.best
            self._turn_around()
            self._empty_rows()
            self._scale_blocks()
            self._scale_storage()
            for name in fields.CHOICES:
                if trade and name in fields.FILLS:
                    continue
                self._first_of(name, fields.duller(name, fields.get(self.best, name)))
            self._first_of("activation.leading", _simpler_leading(self.best.activation.leading))
            for name in fields.DIMENSIONS:
                self._shrink_dimension(name)
            self._shrink_rows()
            self._shrink_seed()
            if self.best == before and not (trade and self._trade()):
                return True
        return False

    def _try(self, candidate: Case) -> bool:
        if candidate not in self._known:
            self.trials += 1
            self._known[candidate] = self._fails(candidate)
        if self._known[candidate]:
            self.best = candidate
        return self._known[candidate]

    def _try_field(self, name: str, value: Any) -> bool:
        try:
            return self._try(fields.replace(self.best, name, value))
        except CaseError:
            return False

    def _try_fields(self, values: Mapping[str, Any]) -> bool:
        candidate = self.best
        for name, value in values.items():
            candidate = fields.replace(candidate, name, value)
        return self._try(candidate)

    def _neutralize(self, names: list[str], *, split: bool) -> None:
        """Make fields neutral all at once; if one of them is needed, each half, and so on down to the single field."""
        names = [name for name in names if fields.get(self.best, name) != fields.neutral(name)]
        if not names or self._try_fields({name: fields.neutral(name) for name in names}) or not split or len(names) == 1:
            return
        for half in (names[: len(names) // 2], names[len(names) // 2 :]):
            self._neutralize(half, split=True)

    def _shrink_seed(self) -> None:
        self._first_of("seed", range(min(self.best.seed, FIRST_SEEDS)))

    def _scale_blocks(self) -> None:
        """A duller blocksize with as many blocks a row as before, for failures that depend on where a row's blocks end."""
        blocksize, in_features = self.best.quantization.blocksize, self.best.weight.in_features
        for duller in fields.duller("quantization.blocksize", blocksize):
            scaled = {"weight.in_features": -(-in_features * duller // blocksize), "quantization.blocksize": duller}
            with contextlib.suppress(CaseError):
                if self._try_fields(scaled):
                    return

    def _scale_storage(self) -> None:
        """A narrower storage with as many elements of the packed weight, for failures that depend on how many there are."""
        storage, in_features = self.best.quantization.storage, self.best.weight.in_features
        for duller in fields.duller("quantization.storage", storage):
            scaled = {"weight.in_features": -(-in_features * duller.itemsize // storage.itemsize), "quantization.storage": duller}
            if self._try_sizes(scaled):
                return

    def _turn_around(self) -> None:
        """The neutral layout with the stored shape kept, for failures that depend on the shape and not the layout."""
        weight = self.best.weight
        if weight.layout is not Layout.IN_OUT:
            return
        # The other way round a filling puts its numbers elsewhere. What is quantized is one row of blocks in any shape.
        row = {"weight.out_features": 1, "weight.in_features": weight.elements, "weight.layout": Layout.OUT_IN}
        turned = {"weight.out_features": weight.in_features, "weight.in_features": weight.out_features, "weight.layout": Layout.OUT_IN}
        fills = dict.fromkeys((weight.fill, *TURNED_FILLS))
        if any(self._try_sizes({**shape, "weight.fill": fill}) for shape in (turned, row) for fill in fills):
            return
        # Before 0.50 functions take one view of the packed weight with each layout.
        any(self._try_sizes({**shape, "packed": other_view(self.best).packed}) for shape in (turned, row))

    def _empty_rows(self) -> None:
        """Rows without elements in place of no rows: what a weight without elements does has one name."""
        weight = self.best.weight
        if not weight.out_features:
            self._try_sizes({"weight.out_features": weight.in_features, "weight.in_features": 0})

    def _trade(self) -> bool:
        """A smaller size for a larger one, for failures that need so much of both together.

        Which of the many smallest Cases it is must not depend on where the reduction came from.
        """
        for smaller, larger in TRADES:
            size, other = fields.get(self.best, smaller), fields.get(self.best, larger)
            if not size:
                continue
            for less in sorted({1, 2, size // 2, size - 1} - {0}):
                for more in dict.fromkeys((-(-size // less) * other, 2 * other, 3 * other, 4 * other)):
                    if less < size and self._try_sizes({smaller: less, larger: more}):
                        return True
        return False

    def _try_sizes(self, sizes: Mapping[str, Any]) -> bool:
        try:
            return self._try_fields(sizes)
        except CaseError:
            return False

    def _first_of(self, name: str, values: Iterable[Any]) -> None:
        any(self._try_field(name, value) for value in values)

    def _shrink_dimension(self, name: str) -> None:
        _shrink(fields.get(self.best, name), lambda size: self._try_field(name, size))

    def _shrink_rows(self) -> None:
        for place, size in enumerate(self.best.activation.leading):
            _shrink(size, functools.partial(self._try_rows, place))

    def _try_rows(self, place: int, size: int) -> bool:
        shape = self.best.activation.leading
        return self._try_field("activation.leading", (*shape[:place], size, *shape[place + 1 :]))


def _shrink(size: int, attempt: Callable[[int], bool]) -> None:
    """Make an integer small: probe powers of two from below, then halve it, then subtract powers of two from what still fails.

    Zero is the oddest size and not the smallest: one is tried in its place, and a size that is aligned in every respect.
    """
    if not size:
        size = next((other for other in (1, ALIGNED) if attempt(other)), 0)
    for power in range((size - 1).bit_length()):
        if attempt(2**power):
            size = 2**power
            break
    while size > 1 and attempt(size // 2):
        size //= 2
    step = 2 ** size.bit_length()
    while step:
        if size > step and attempt(size - step):
            size -= step
        else:
            step //= 2


def _simpler_leading(leading: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Shapes of lower rank, then of one row, simplest first."""
    candidates: list[tuple[int, ...]] = [(), (1,), (2,)]
    if leading:
        candidates += [(math.prod(leading),), (1,) * len(leading)]
    for candidate in candidates:
        if (len(candidate), math.prod(candidate)) < (len(leading), math.prod(leading)):
            yield candidate
