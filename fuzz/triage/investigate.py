"""From an unexplained failure to a defect with a name: reduce it, find the path it belongs to, see what it needs.

The name must not depend on what was drawn first. So a defect that shows on several paths is named after the first of
them in a fixed order, and nothing is reduced into the region of a defect that is known already.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fuzz.engine.verdict import CaseResult, FailureKey, PathVerdict, Symptom
from fuzz.triage.bug import Failure, Suspect
from fuzz.triage.condition import Condition, all_taken_back
from fuzz.triage.examine import Effort, Examined, examine
from fuzz.triage.reduce import OutOfTime, Reduction, reduce_case
from fuzz.triage.suspects import Suspects, acts
from fuzz.triage.verify import OTHER_PATHS, QUANTIZE
from strategies import fields
from strategies.case import Case

EFFORTS: Final = {
    Symptom.HANG: Effort.LEAST,
    Symptom.PROCESS_DIED: Effort.LITTLE,
    Symptom.CONTEXT_LOST: Effort.LITTLE,
}
"""Failures that cost a child each, or the watchdog's time, are looked at with fewer Cases."""

Trial = Callable[[Case, FailureKey], CaseResult]
"""Runs a Case on the key's path. May raise `OutOfTime`."""


@dataclass(frozen=True, slots=True)
class Investigation:
    """A defect as it was found.

    Attributes:
        key: of the path that it is named after.
        reduction: to the minimal Case on that path; trials of all reductions together.
        examined: what it needs.
        paths: those on which the minimal Case fails alike, and the one on which it was seen.
        verdict: of the minimal Case.
    """

    key: FailureKey
    reduction: Reduction
    examined: Examined
    paths: frozenset[str]
    verdict: PathVerdict


class Investigator:
    """Makes defects out of failures.

    Args:
        trial: runs a Case.
        suspects: what is known so far.
    """

    def __init__(self, trial: Trial, suspects: Suspects) -> None:
        self._trial, self._suspects = trial, suspects
        self._seen: dict[tuple[Case, str], CaseResult] = {}

    def investigate(self, failure: Failure) -> Investigation | Suspect:
        """The defect behind `failure`, whose Case nothing that is known of its path explains.

        It may turn out to be one that is known of another path; then that one is returned.
        """
        self._seen.clear()
        key, reduction = failure.key, self._reduce(failure.case, failure.key)
        kin: dict[str, FailureKey] = {key.path: key}
        verdict = failure.verdict
        finished = reduction.finished
        try:
            kin |= self._kin(reduction.case, key)
            first = next((kin[path] for path in OTHER_PATHS if path in kin), key)
            if first != key:
                if (same := self._same(reduction.case, key, first)) is not None:
                    return same
                again = self._reduce(reduction.case, first)
                key, reduction = first, Reduction(again.case, reduction.trials + again.trials, again.finished)
                kin = {failure.key.path: failure.key} | self._kin(reduction.case, key)
            verdict = self._run(reduction.case, key).failure(key) or verdict
            examined = examine(reduction.case, lambda case: self._fails(case, key), EFFORTS.get(key.symptom, Effort.FULL))
        except OutOfTime:
            finished = False
            examined = _as_far_as_seen(reduction.case)
        reduction = dataclasses.replace(reduction, finished=finished and reduction.finished)
        return Investigation(key, reduction, examined, frozenset(kin) | {key.path}, verdict)

    def region_of(self, found: Investigation) -> Suspect | None:
        """What is known already, if this is another region of it.

        It is one if it needs the same choices and some of the same sizes, and if a reduction that is let into what is
        known ends there: then there is a way from one to the other along which every Case fails.
        """
        resembling = self._suspects.resembling(found.key, found.examined.condition)
        if not resembling:
            return None
        others = [suspect for suspect in self._suspects.concerning(found.key) if suspect not in resembling]

        def fails(case: Case) -> bool:
            return not any(acts(other, case) for other in others) and bool(self._run(case, found.key).tells(found.key))

        end = reduce_case(found.reduction.case, fails).case
        return next((suspect for suspect in resembling if acts(suspect, end)), None)

    def _same(self, case: Case, key: FailureKey, first: FailureKey) -> Suspect | None:
        """What is known of the path `first` and explains the failure on `key`'s path too."""
        for suspect in self._suspects.acting(first, case):
            harmless = all_taken_back(suspect.regions, case)
            if harmless is not None and not self._run(harmless, first).tells(first) and not self._run(harmless, key).tells(key):
                return suspect
        return None

    def _reduce(self, case: Case, key: FailureKey) -> Reduction:
        return reduce_case(case, lambda candidate: bool(self._fails(candidate, key)))

    def _fails(self, case: Case, key: FailureKey) -> bool | None:
        """Whether a Case shows the failure; None if nothing can be told: what is known may act, or the path cannot run."""
        if self._suspects.may_act(key, case) or self._suspects.may_end(key, case):
            return None
        return self._run(case, key).tells(key)

    def _run(self, case: Case, key: FailureKey) -> CaseResult:
        """What a trial says; each is made once in an investigation."""
        if (case, key.path) not in self._seen:
            self._seen[case, key.path] = self._trial(case, key)
        return self._seen[case, key.path]

    def _kin(self, case: Case, key: FailureKey) -> dict[str, FailureKey]:
        """The other paths that fail alike, by name, each with its own key."""
        if key.path == QUANTIZE or key.symptom is Symptom.HANG:
            return {key.path: key}
        kin = {key.path: key}
        for path, surface in OTHER_PATHS.items():
            other = dataclasses.replace(key, path=path, surface=surface)
            if path != key.path and self._run(case, other).tells(other):
                kin[path] = other
        return kin


def _as_far_as_seen(case: Case) -> Examined:
    """What is known of a Case that there was no time to look at."""
    triggers = fields.triggers(case)
    return Examined(triggers, Condition({name: frozenset([fields.get(case, name)]) for name in triggers}))
