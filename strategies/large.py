"""Large weights: what a campaign draws otherwise stays small, so that a Case costs milliseconds."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from strategies import fields
from strategies.case import Case

STEP: Final = 4096
"""Sizes grow by multiples of it, so that they stay what they were to every blocksize, tile and warp: odd, unaligned, whole."""

MOST_STEPS: Final = 4
LARGEST: Final = 2**23
"""Elements of the largest weight, activation and result: its references take 20 s and 1.7 GB on two CPU cores."""

MOST_TERMS: Final = 2**29
"""Rows times outputs times terms: what the float64 product of a reference is made of."""

ONE_IN: Final = 8
"""One Case in so many is large, or about half of the time goes into large ones."""

_STEPS: Final = st.integers(0, MOST_STEPS)
_WHETHER: Final = st.sampled_from([False] * (ONE_IN - 1) + [True])


def with_large(cases: st.SearchStrategy[Case]) -> st.SearchStrategy[Case]:
    """The same Cases, some of them with more outputs, terms and rows; a Case with a size of zero keeps its sizes."""
    return st.builds(_enlarged, cases, _WHETHER, st.tuples(_STEPS, _STEPS, _STEPS))


def _enlarged(case: Case, large: bool, steps: tuple[int, int, int]) -> Case:  # noqa: FBT001 - built from strategies
    """The Case with each size grown by as many steps as fit."""
    if not large or case.is_empty:
        return case
    for name, count in zip(fields.SIZES, steps, strict=True):
        if name == fields.ROWS and case.activation.rank == 1:
            continue  # which is one row
        size = fields.get(case, name)
        grown = (fields.replace(case, name, size + more * STEP) for more in range(count, 0, -1) if _fits(case, name, size + more * STEP))
        case = next(grown, case)
    return case


def _fits(case: Case, name: str, size: int) -> bool:
    outputs, terms, rows = (size if name == other else fields.get(case, other) for other in fields.SIZES)
    return max(outputs * terms, rows * terms, rows * outputs) <= LARGEST and outputs * terms * rows <= MOST_TERMS
