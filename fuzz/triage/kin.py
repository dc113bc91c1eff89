"""Which paths show the same defect: those that fail alike on the same Case, in the same kernel, and not for a reason of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Final

from fuzz.engine.verdict import FailureKey, PathVerdict, Symptom
from fuzz.triage.examine import Run, other_view, refilled
from fuzz.triage.suspects import Suspects
from fuzz.triage.verify import QUANTIZE, paths_in
from strategies.case import Case

NUMBERS: Final = 24
"""Other numbers that are tried on each path where a failure depends on them."""

Kin = dict[str, tuple[FailureKey, Case]]
"""Paths by name, each with its own key and a Case on which it fails."""


def kin_of(case: Case, key: FailureKey, run: Run) -> Kin:
    """The paths that fail alike, and the key's own.

    A path that calls another kernel has another defect, however alike the two are: one may be mended without the other.
    """
    kin = {key.path: (key, case)}
    if key.path == QUANTIZE or key.symptom is Symptom.HANG:
        return kin
    own = run(case, key).failure(key)
    for path, surface in paths_in(case.execution.mode).items():
        other = dataclasses.replace(key, path=path, surface=surface)
        if path != key.path and (found := next(_failing(case, other, own, run), None)) is not None:
            kin[path] = (other, found)
    return kin


def _failing(case: Case, other: FailureKey, own: PathVerdict | None, run: Run) -> Iterator[Case]:
    # Which numbers leave the range depends on a kernel's order of sums.
    fillings = refilled(case, NUMBERS) if other.symptom is Symptom.RANGE_DIVERGENCE else ()
    for filled in (case, *fillings):
        # Before 0.50 the module takes one view of the packed weight and the functions the other.
        seen = filled if run(filled, other).ran(other) else other_view(filled)
        failure = run(seen, other).failure(other)
        if failure is not None and may_share_a_kernel(failure, own):
            yield seen


def may_share_a_kernel(one: PathVerdict, other: PathVerdict | None) -> bool:
    """Whether two verdicts may be about the same kernel; where no kernel is named, they may."""
    return other is None or not one.arms or not other.arms or bool(set(one.arms) & set(other.arms))


def unexplained(kin: Kin, key: FailureKey, suspects: Suspects, run: Run) -> Kin:
    """Those of `kin` that do not fail for a reason of their own which is known; the key's own path stays."""
    return {path: one for path, one in kin.items() if path == key.path or not _explained(*one, suspects, run)}


def _explained(key: FailureKey, case: Case, suspects: Suspects, run: Run) -> bool:
    """Whether a failure is gone once what is known of its path is taken back; where that cannot be, it is taken for the reason."""
    if not suspects.may_act(key, case):
        return False
    harmless = suspects.taken_back(key, case)
    return harmless is None or run(harmless, key).failure(key) is None
