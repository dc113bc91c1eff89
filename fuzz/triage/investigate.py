"""From an unexplained failure to a defect with a name: reduce it, find the path it belongs to, see what it needs.

The name must not depend on what was drawn first. So a defect that shows on several paths is named after the first of
them in a fixed order, and nothing is reduced into the region of a defect that is known already.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from fuzz.engine.verdict import CaseResult, FailureKey, Outcome, PathVerdict, Symptom
from fuzz.triage.bug import Bug, Failure, Suspect
from fuzz.triage.condition import all_taken_back
from fuzz.triage.examine import Ask, Effort, Examined, examine
from fuzz.triage.kernels import InKernels, arms_of, in_kernels
from fuzz.triage.kin import Kin, kin_of, unexplained
from fuzz.triage.kinds import follows, root_of
from fuzz.triage.reduce import OutOfTime, Reduction, reduce_case
from fuzz.triage.suspects import Suspects, acts, shows
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
        kernels: what it needs in its kernels, if sizes only decide that they run.
    """

    key: FailureKey
    reduction: Reduction
    examined: Examined
    paths: frozenset[str]
    verdict: PathVerdict
    kernels: InKernels | None = None


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
        reduction = self._reduce(failure.case, failure.key)
        try:
            found = self._found(failure, reduction)
        except OutOfTime:
            return dataclasses.replace(failure, case=reduction.case, first=failure.drawn)
        self._seen.clear()
        return found

    def _found(self, failure: Failure, reduction: Reduction) -> Investigation | Suspect | Failure:
        """What is behind a reduced failure. Raises `OutOfTime`."""
        key, paths = failure.key, {failure.key.path}
        if not reduction.finished:
            raise OutOfTime
        if (root := root_of(reduction.case, key, self._run)) is not None:
            return self._by_its_root(failure, *root)
        if (same_kernel := self._in_its_kernel(key, reduction.case)) is not None:
            return same_kernel
        kin = kin_of(reduction.case, key, self._run)
        before = [path for path in _before(key.path) if path in kin]
        if (same := self._known_before(before, kin, key)) is not None:
            return same
        kin = unexplained(kin, key, self._suspects, self._run)
        first = next((path for path in before if path in kin), key.path)
        if first != key.path:
            key, case = kin[first]
            again = self._reduce(case, key)
            if not again.finished:
                raise OutOfTime
            reduction = Reduction(again.case, reduction.trials + again.trials, again.finished)
            if (same_kernel := self._in_its_kernel(key, reduction.case)) is not None:
                return same_kernel
            kin = unexplained(kin_of(reduction.case, key, self._run), key, self._suspects, self._run)
        return self._examine(failure, key, reduction, paths | kin.keys())

    def _examine(self, failure: Failure, key: FailureKey, reduction: Reduction, paths: set[str]) -> Investigation:
        case, effort = reduction.case, EFFORTS.get(key.symptom, Effort.FULL)
        examined = examine(case, self._asker(case, key, avoid=False), effort, numbers=key.symptom is Symptom.RANGE_DIVERGENCE)
        verdict = self._run(case, key).failure(key) or failure.verdict
        kernels = in_kernels(case, examined.condition, key, self._run)
        return Investigation(key, reduction, examined, frozenset(paths), verdict, kernels)

    def _known_before(self, before: Iterable[str], kin: Kin, key: FailureKey) -> Suspect | None:
        """What is known of a path that comes before the key's, and explains the failure on both."""
        return next((same for path in before if (same := self._same(kin[path][1], key, kin[path][0])) is not None), None)

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
            bugs, always = self._suspects.bugs, found.kernels is not None and found.kernels.always
            return next((bug for bug in bugs if always and bug.key == found.key and bug.kernels == found.kernels), None)
        others = [suspect for suspect in self._suspects.concerning(found.key) if suspect not in resembling]

        def fails(case: Case) -> bool:
            return not any(acts(other, case) for other in others) and self._run(case, found.key).outcome(found.key) is Outcome.FAILS

        end = reduce_case(found.reduction.case, fails).case
        return next((suspect for suspect in resembling if acts(suspect, end)), None)

    def _in_its_kernel(self, key: FailureKey, case: Case) -> Bug | None:
        """A defect of this run that explains a reduced Case by the kernel that it runs."""
        found = self._suspects.in_kernels(key, case, arms_of(self._run(case, key), key))
        return found[0] if found is not None and self._run(found[1], key).outcome(key) is Outcome.PASSES else None

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

        Nor does it where the path fails as this very defect may fail elsewhere: a call that nobody refused reads beyond its
        memory, and what is there is a matter of luck. A reduction also avoids where something else is known to fail, so
        that the minimal Case shows one defect only.
        """
        masking = self._suspects.masking(key, start) if avoid else []

        def ask(case: Case) -> Outcome:
            if self._suspects.may_act(key, case) or any(shows(suspect, case) for suspect in masking):
                return Outcome.MASKED
            result = self._run(case, key)
            outcome = result.outcome(key)
            return Outcome.MASKED if outcome is Outcome.OTHERWISE and follows(result, key) else outcome

        return ask

    def _run(self, case: Case, key: FailureKey) -> CaseResult:
        """What a trial says; each is made once in an investigation, however often it has to be taken up again."""
        if (case, key.path) not in self._seen:
            self._seen[case, key.path] = self._trial(case, key)
        return self._seen[case, key.path]


def _before(path: str) -> list[str]:
    """The paths that a defect would rather be named after."""
    return list(itertools.takewhile(lambda other: other != path, OTHER_PATHS)) if path in OTHER_PATHS else []
