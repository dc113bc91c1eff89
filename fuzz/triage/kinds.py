"""Kinds of failures that may be one defect on one path, seen here and there: it is named after the first of them.

A call that should have been refused, or that has not enough memory to write to, reads or writes beyond its memory: most
often nobody notices, and now and then the context is lost or the process dies. Of the numbers of a quantization the first
wrong one is told, which depends on the numbers: where all elements are alike, scales are right that were taken from
elsewhere. And where products are rounded to float16, large ones overflow and small ones underflow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fuzz.engine.verdict import OVERFLOWED, TOO_SHORT, UNDERFLOWED, CaseResult, FailureKey, Outcome, PathVerdict, Symptom
from fuzz.triage.examine import Run, other_view, refilled
from strategies import fields
from strategies.case import Case, CaseError, Fill

NUMBERS: Final = ("scales", "offset", "outer scales", "8-bit codes", "codes", "blocks of zeros")
"""What is wrong with the numbers of a quantization, in the order in which it is told. Statistics of statistics come after
the plain ones, which tell more directly what was read."""

_LOST: Final = frozenset({Symptom.CONTEXT_LOST, Symptom.PROCESS_DIED})
_REACHING: Final = frozenset({Symptom.MISSING_ERROR, Symptom.OUT_OF_BOUNDS})
_BESIDE: Final = (65, 64)
"""Rows of which one has a part of a block, and the other none: enough to be read or written beyond, and no whole page."""

_OVERFLOWING: Final = {"weight.fill": Fill.NORMAL, "activation.fill": Fill.HUGE, "weight.in_features": 64}
"""Few products, some of which leave float16's range although their sum does not."""

_NOT_NEEDED: Final = frozenset({*fields.FILLS, "execution.mode"})
"""Fields that say where a defect can be seen. Most paths run in one mode only."""

OTHER_NUMBERS: Final = 7
"""Other numbers that are tried for an overflow: whether a sum comes back into the range is a matter of luck."""


def may_follow(key: FailureKey, cause: FailureKey) -> bool:
    """Whether a failure of the kind `key` may be what the defect behind `cause`, of the same path, does on another Case."""
    if key.symptom in _LOST:
        return cause.symptom in _REACHING or (cause.symptom, cause.how) == (Symptom.WRONG_SHAPE, TOO_SHORT)
    if key.symptom is cause.symptom is Symptom.RANGE_DIVERGENCE:
        return (key.how, cause.how) == (UNDERFLOWED, OVERFLOWED)
    if not (key.symptom is cause.symptom is Symptom.WRONG_VALUE and key.how in NUMBERS and cause.how in NUMBERS):
        return False
    return NUMBERS.index(cause.how) < NUMBERS.index(key.how)


def follows(result: CaseResult, cause: FailureKey) -> bool:
    """Whether a path fails on a Case as the defect behind `cause` may."""
    return any(may_follow(FailureKey.of(verdict), cause) for verdict in result.failures if verdict.path == cause.path)


def root_of(case: Case, key: FailureKey, run: Run) -> tuple[Case, PathVerdict] | None:
    """A Case near the minimal one that shows an earlier kind of failure for the same reason, and its verdict; None if none does.

    The reason is the same if both need the choices of the minimal Case. Without choices nothing tells that they do.
    """
    for other in _beside(case, key):
        if (found := _earlier(run(other, key), key)) is None:
            continue
        cause = FailureKey.of(found)
        needed = [name for name in fields.triggers(other) if name not in _NOT_NEEDED]
        if needed and any(run(plain, cause).outcome(cause) is Outcome.PASSES for plain in _without(other, needed)):
            return other, found
    return None


def _beside(case: Case, key: FailureKey) -> Iterator[Case]:
    if key.symptom in _LOST:
        yield from _replaced(case, "weight.in_features", _BESIDE)
        yield from _replaced(case, "execution.misuse", fields.duller("execution.misuse", case.execution.misuse)[1:])
    elif key.how == UNDERFLOWED:
        large = case
        for name, value in _OVERFLOWING.items():
            large = fields.replace(large, name, value)
        yield from (large, *refilled(large, OTHER_NUMBERS))
    elif key.how in NUMBERS:
        revealing = fields.replace(fields.replace(case, "weight.fill", Fill.NORMAL), "activation.fill", Fill.NORMAL)
        yield from dict.fromkeys((fields.replace(revealing, "quantization.compress_statistics", value=False), revealing))


def _replaced(case: Case, name: str, values: tuple[object, ...]) -> Iterator[Case]:
    for value in values:
        try:
            yield fields.replace(case, name, value)
        except CaseError:
            continue


def _earlier(result: CaseResult, key: FailureKey) -> PathVerdict | None:
    found = (verdict for verdict in result.failures if verdict.path == key.path)
    return next((verdict for verdict in found if may_follow(key, FailureKey.of(verdict))), None)


def _without(case: Case, names: list[str]) -> Iterator[Case]:
    """The Case with neutral values, in either view of the packed weight: before 0.50 each path takes one of them."""
    try:
        for name in names:
            case = fields.replace(case, name, fields.neutral(name))
    except CaseError:
        return
    yield case
    yield other_view(case)
