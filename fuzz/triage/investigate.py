"""From an unexplained failure to a defect with a name: reduce it, find the path it belongs to, see what it needs.

The name must not depend on what was drawn first. So a defect that shows on several paths is named after the first of
them in a fixed order, and nothing is reduced into the region of a defect that is known already.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fuzz.engine.verdict import CaseResult, FailureKey, Outcome, PathVerdict, Symptom
from fuzz.triage.bug import Failure, Suspect
from fuzz.triage.condition import Condition, all_taken_back
from fuzz.triage.examine import Ask, Effort, Examined, examine
from fuzz.triage.kin import kin_of, unexplained
from fuzz.triage.kinds import root_of
from fuzz.triage.reduce import OutOfTime, Reduction, reduce_case
from fuzz.triage.suspects import Suspects, acts
from fuzz.triage.verify import OTHER_PATHS
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

    def investigate(self, failure: Failure) -> Investigation | Suspect | Failure:
        """The defect behind `failure`, whose Case nothing that is known of its path explains.

        It may turn out to be one that is known of another path; then that one is returned. If time is up first, the
        failure is returned as far as it was reduced: no name is given to what is not minimal.
        """
        key, start = failure.key, failure.case
        reduction = self._reduce(start, key)
        try:
            if not reduction.finished:
                raise OutOfTime  # noqa: TRY301 - one way out for both
            if (root := root_of(reduction.case, key, self._run)) is not None:
                return self._by_its_root(failure, *root)
            kin = kin_of(reduction.case, key, self._run)
            before = list(itertools.takewhile(lambda path: path != key.path, OTHER_PATHS)) if key.path in OTHER_PATHS else []
            for path in (path for path in before if path in kin):
                if (same := self._same(kin[path][1], key, kin[path][0])) is not None:
                    return same
            kin = unexplained(kin, key, self._suspects, self._run)
            first = next((path for path in before if path in kin), key.path)
            if first != key.path:
                first_key, first_case = kin[first]
                again = self._reduce(first_case, first_key)
                if not again.finished:
                    raise OutOfTime  # noqa: TRY301
                key, reduction = first_key, Reduction(again.case, reduction.trials + again.trials, again.finished)
                kin = unexplained(kin_of(reduction.case, key, self._run), key, self._suspects, self._run)
                kin[failure.key.path] = (failure.key, reduction.case)
            verdict = self._run(reduction.case, key).failure(key) or failure.verdict
            effort, numbers = EFFORTS.get(key.symptom, Effort.FULL), key.symptom is Symptom.RANGE_DIVERGENCE
            examined = examine(reduction.case, self._asker(reduction.case, key, avoid=False), effort, numbers=numbers)
        except OutOfTime:
            if key != failure.key:
                return failure
            return dataclasses.replace(failure, case=reduction.case, first=failure.drawn)
        self._seen.clear()
        return Investigation(key, reduction, examined, frozenset(kin), verdict)

    def _by_its_root(self, failure: Failure, case: Case, verdict: PathVerdict) -> Investigation | Suspect | Failure:
        """The defect behind an earlier kind of failure, which has nothing before it in the end."""
        root = dataclasses.replace(failure, key=FailureKey.of(verdict), case=case, verdict=verdict, first=failure.drawn)
        acting = self._suspects.acting(root.key, case)
        return acting[0] if acting else self.investigate(root)

    def region_of(self, found: Investigation) -> Suspect | None:
        """What is known already, if this is another region of it.

        It is one if it needs the same choices and some of the same sizes, and if a reduction that is let into what is
        known ends there: then there is a way from one to the other along which every Case fails.
        """
        resembling = self._suspects.resembling(found.key, found.examined.condition)
        if not resembling:
            return self._in_the_same_kernel(found)
        others = [suspect for suspect in self._suspects.concerning(found.key) if suspect not in resembling]

        def fails(case: Case) -> bool:
            return not any(acts(other, case) for other in others) and self._run(case, found.key).outcome(found.key) is Outcome.FAILS

        end = reduce_case(found.reduction.case, fails).case
        return next((suspect for suspect in resembling if acts(suspect, end)), None)

    def _in_the_same_kernel(self, found: Investigation) -> Suspect | None:
        """A defect of this run that asks for the same choices, where the sizes of both only say when one kernel runs.

        So it is where a dispatch rule has an "or" in it: several rows, or a row that is no whole number of blocks.
        """
        condition = found.examined.condition
        alike = [bug for bug in self._suspects.bugs if bug.key == found.key and bug.regions[0].same_choices(condition)]
        arms = self._dispatched(found.reduction.case, condition, found.key) if alike else frozenset()
        return next((bug for bug in alike if arms and self._dispatched(bug.minimal, bug.regions[0], bug.key) == arms), None)

    def _dispatched(self, case: Case, condition: Condition, key: FailureKey) -> frozenset[str]:
        """The kernels that `case` may run, if with a harmless size it always passes in others; none if not."""
        arms, beside = self._arms(case, key), list(condition.harmless_sizes(case))
        passes = all(self._run(other, key).outcome(key) is Outcome.PASSES for other in beside)
        apart = all(theirs and not theirs & arms for theirs in (self._arms(other, key) for other in beside))
        return arms if beside and passes and apart else frozenset()

    def _arms(self, case: Case, key: FailureKey) -> frozenset[str]:
        """The kernels that the key's path may run, by the rule of dispatch."""
        return frozenset(arm for verdict in self._run(case, key).verdicts if verdict.path == key.path for arm in verdict.arms)

    def _same(self, case: Case, key: FailureKey, first: FailureKey) -> Suspect | None:
        """What is known of the path `first` and explains the failure on `key`'s path too."""
        for suspect in self._suspects.acting(first, case):
            harmless = all_taken_back(suspect.regions, case)
            if harmless is not None and not any(self._run(harmless, either).failure(either) for either in (first, key)):
                return suspect
        return None

    def _reduce(self, case: Case, key: FailureKey) -> Reduction:
        ask = self._asker(case, key, avoid=True)
        return reduce_case(case, lambda candidate: ask(candidate) is Outcome.FAILS)

    def _asker(self, start: Case, key: FailureKey, *, avoid: bool) -> Ask:
        """Says what Cases say about `key`, and nothing where what is known may fail alike.

        A reduction also avoids where something else is known to fail, so that the minimal Case shows one defect only.
        """
        masking = self._suspects.masking(key, start) if avoid else []

        def ask(case: Case) -> Outcome:
            if self._suspects.may_act(key, case) or any(acts(suspect, case) for suspect in masking):
                return Outcome.MASKED
            return self._run(case, key).outcome(key)

        return ask

    def _run(self, case: Case, key: FailureKey) -> CaseResult:
        """What a trial says; each is made once in an investigation, however often it has to be taken up again."""
        if (case, key.path) not in self._seen:
            self._seen[case, key.path] = self._trial(case, key)
        return self._seen[case, key.path]
