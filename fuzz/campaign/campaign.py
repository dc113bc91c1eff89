"""The campaign: draws Cases until time is up, records failures without raising, and makes each defect one candidate.

drawn Case ── failing verdict ──► explained by what is known? ──yes──► counted there
                                          │ no
                                          ▼
            reduced, named ──► a row of the known issues, or a candidate ──► confirmed in the background
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from fuzz.campaign.budget import Budget
from fuzz.campaign.coverage import Visited
from fuzz.campaign.explaining import Explaining
from fuzz.campaign.explore import explore
from fuzz.campaign.explored import Explored
from fuzz.campaign.mixture import Drawn, Property, mixed
from fuzz.campaign.witnesses import Witnesses
from fuzz.engine.executor import Executor
from fuzz.engine.verdict import ENDING, CaseResult, FailureKey, PathVerdict, Symptom
from fuzz.triage.bug import Bug, Failure, Suspect
from fuzz.triage.condition import Condition, parse_triggers
from fuzz.triage.investigate import Investigation, Investigator
from fuzz.triage.reduce import OutOfTime, Reduction
from fuzz.triage.suspects import Suspects, acts
from fuzz.triage.verify import QUANTIZE, selection
from strategies import fields
from strategies.case import Case

REDUCE_LIMIT: Final = 45.0
"""Seconds for one investigation; ordinary ones take one to three, those that kill or hang the child more."""

REDUCE_LEAST: Final = 5.0
"""Seconds that every investigation gets: a Case that is not minimal has a signature of its own."""

REDUCE_SHARE: Final = 0.25
"""Part of the time that is left which one investigation may take, so that one slow failure does not eat the run."""

HANG_WATCHDOG: Final = 3.0
"""Watchdog while a hang is reduced and verified: each trial costs this much, and a path takes milliseconds."""

CLOSING: Final = 2.0
"""Seconds at the end of the budget in which nothing more is drawn: the last confirmation and the reports."""

RECOVERY_SHARE: Final = 0.2
"""Part of the time that may go into replacing children while Cases are drawn. Beyond it the paths that end them rest: on Cases
on which what is known acts, and as long as nothing is known of them on all Cases."""

ENDING_SHARE: Final = 0.4
"""Part of the time that has passed which investigating failures that end the child may take: each trial that fails costs a
child, on an H200 0.3 s where another trial takes 0.015. Beyond it they wait, and the search goes on."""

REGION_LIMIT: Final = 15.0
"""Seconds for seeing whether what was found is a part of what is known."""

MOST_WAITING: Final = 8
"""Unexplained failures of one kind that are kept until one of them is reduced; they may be different defects."""

AGAIN: Final = 2
"""Runs in which a failure has to come back before it is reduced."""


class Listener(Protocol):
    """Told what happens, as it happens."""

    def observed(self, failure: Failure) -> None:
        """A failure was seen that nothing explains so far."""

    def progressed(self, progress: Progress) -> None:
        """Called after every Case."""

    def reduced(self, candidate: Candidate) -> None:
        """A new defect was found; from here on it is the listener's."""

    def came_late(self, failure: Failure) -> None:
        """A failure was seen when no time was left to reduce and confirm it."""

    def went_away(self, failure: Failure) -> None:
        """A failure did not come back when its Case was run again."""

    def seconds_to_finish(self, more: FailureKey | None = None) -> float:
        """Seconds that the listener needs at the end for the candidates it works on, and for one `more`."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A new defect that is to be confirmed. The run goes on to count what it explains."""

    bug: Bug
    failure: Failure
    verdict: PathVerdict
    reduction: Reduction


@dataclass(slots=True)
class Progress:
    """Counts of a run so far."""

    cases: int = 0
    surfaces: Counter[str] = field(default_factory=Counter)
    paths: Counter[str] = field(default_factory=Counter)
    rulings: Counter[str] = field(default_factory=Counter)
    visited: Visited = field(default_factory=Visited)
    explored: Explored = field(default_factory=Explored)
    witnesses: Witnesses = field(default_factory=Witnesses)
    failures: Counter[FailureKey] = field(default_factory=Counter)
    candidates: int = 0
    confirmed: int = 0
    stop_reason: str = "running"

    def count(self, case: Case, result: CaseResult) -> None:
        """Add one Case and its verdicts."""
        self.cases += 1
        self.visited.count(case, result)
        self.explored.count(case, result)
        self.witnesses.meet(case, result)
        for verdict in result.verdicts:
            self.surfaces[verdict.surface] += 1
            self.paths[verdict.path] += 1
            self.rulings[verdict.ruling.value] += 1
        self.failures.update(FailureKey.of(verdict) for verdict in result.failures)


class Campaign:
    """One run over one executor.

    Args:
        executor: started, or startable.
        budget: of the whole run.
        listener: told of failures, candidates and progress.
        suspects: what is known beforehand.
    """

    def __init__(self, executor: Executor, budget: Budget, listener: Listener, suspects: Suspects | None = None) -> None:
        self._executor, self._budget, self._listener = executor, budget, listener
        self.suspects = suspects or Suspects()
        self._explaining = Explaining(executor, self.suspects, self._stamp, self._wait)
        self._waiting: list[Failure] = []
        self._deadline = 0.0
        self._skipped: Counter[FailureKey] = Counter()
        self._unsteady: Counter[FailureKey] = Counter()
        self._ending_seconds = 0.0  # spent on investigating failures that end the child
        self._recovered = 0.0  # seconds of replacing children which investigations are to blame for
        self._begun = 0  # Cases of the run that were handed to the executor, which answers some of them later
        self._investigator = Investigator(self._trial, self.suspects)
        self.progress = Progress()

    def explore(self, properties: Sequence[Property], seed: int, until: float, most_cases: int | None = None) -> None:
        """Draw and run Cases until the budget, less what the verification needs, is used up.

        Args:
            properties: what to draw from.
            seed: of the search.
            until: seconds on the budget's clock at which the search ends.
            most_cases: number of Cases of the whole run at which the search ends.
        """
        explore(mixed(properties), seed, lambda drawn: self._visit(drawn, until, most_cases))
        self._settle()
        for failure in (*self._still_unexplained(), *self._explaining.give_up()):
            self._listener.came_late(failure)
        self._waiting.clear()
        self.progress.stop_reason = "cases" if most_cases is not None and self.progress.cases >= most_cases else "time"

    def _still_unexplained(self) -> Iterator[Failure]:
        """What waits to be reduced, but for what was found meanwhile explains."""
        for failure in self._waiting:
            if self._budget.left <= 0 or self._explaining.explained_now(failure) is not None:
                yield failure

    def replay(self, cases: Iterable[Case]) -> list[tuple[Case, CaseResult]]:
        """Run Cases before anything is drawn, and everything that follows from their failures."""
        results: list[tuple[Case, CaseResult]] = []
        for case in cases:
            if self._budget.left <= CLOSING:
                break
            self._begun += 1
            result = self._executor.run(case)
            self._collect(case, result)
            results.append((case, result))
        self._settle()
        return results

    def _visit(self, drawn: Drawn, until: float, most_cases: int | None) -> bool:
        if most_cases is not None and self._begun >= most_cases:
            return False
        self._begun += 1
        self._executor.submit(drawn.case, self._collector(drawn), skip=self._resting(drawn.case))
        self._explaining.advance()
        if any(self._has_time_for(failure) for failure in self._waiting):
            self._settle()
        return self._budget.elapsed < until and self._budget.left > CLOSING

    def _settle(self) -> None:
        """Wait for everything that is queued, and reduce what there is time for."""
        self._executor.drain()
        while self._explaining.pending and self._budget.left > 0:
            self._explaining.advance()
            self._executor.drain()
        self._reduce_waiting()

    def _resting(self, case: Case) -> list[str]:
        if self._executor.recovery_seconds - self._recovered < RECOVERY_SHARE * self._budget.elapsed:
            return []
        ending = (key for key in self.progress.failures if key.symptom in ENDING and key.path != QUANTIZE)
        known = ((key, self.suspects.concerning(key)) for key in ending)
        return sorted({key.path for key, suspects in known if not suspects or any(acts(suspect, case) for suspect in suspects)})

    def _collector(self, drawn: Drawn) -> Callable[[CaseResult], None]:
        return lambda result: self._collect(drawn.case, result, drawn.property)

    def _collect(self, case: Case, result: CaseResult, drawn_for: str = "") -> None:
        self.progress.count(case, result)
        self._explaining.doubt(case, result, drawn_for=drawn_for)
        self._listener.progressed(self.progress)

    def _stamp(self) -> tuple[int, float]:
        return self.progress.cases, self._budget.elapsed

    def _wait(self, failure: Failure) -> None:
        """Keep an unexplained failure until it is reduced."""
        key = failure.key
        if self._skipped[key]:
            self._skipped[key] -= 1
            return
        waiting = sum(other.key == key for other in self._waiting)
        if waiting >= MOST_WAITING:
            return
        self._waiting.append(failure)
        if not waiting:
            self._listener.observed(failure)

    def _has_time_for(self, failure: Failure) -> bool:
        if failure.key.symptom in ENDING and self._ending_seconds > max(REDUCE_LEAST, ENDING_SHARE * self._budget.elapsed):
            return False
        return self._budget.left >= self._listener.seconds_to_finish(failure.key)

    def _reduce_waiting(self) -> None:
        """Reduce what there is time for; the rest waits until confirmations have made room, or comes too late."""
        waiting, self._waiting = self._waiting, []
        for failure in waiting:
            if not self._has_time_for(failure):
                self._waiting.append(failure)
                continue
            began, recovered = time.monotonic(), self._executor.recovery_seconds
            if (unexplained := self._explaining.explained_now(failure)) is not None:
                self._investigate(unexplained)
            if failure.key.symptom in ENDING:
                self._ending_seconds += time.monotonic() - began
            self._recovered += self._executor.recovery_seconds - recovered
        if self._explaining.pending and self._budget.left > 0:
            self._settle()

    def _investigate(self, failure: Failure) -> None:
        again = self._fails_again(failure)
        if again < AGAIN:
            self._set_apart(failure, again)
            return
        found = self._investigation(failure)
        if isinstance(found, Failure):  # time was up; what was reduced so far is kept for the next time
            self._waiting.append(found)
            return
        if not isinstance(found, Investigation):
            found.link(failure.key)
            found.count(failure)
            if isinstance(found, Bug):
                found.widen(failure)
            return
        condition = found.examined.condition
        bug = Bug(found.key, found.reduction.case, found.examined.triggers, [condition], set(found.paths), found.kernels)
        if (same := self.suspects.bug_of(bug.signature) or self._region_of(found)) is not None:
            self._found_again(same, failure, condition)
            return
        bug.count(failure)
        self.suspects.bugs.append(bug)
        if (row := self.suspects.row_naming(bug)) is not None:
            bug.known = row.issue
            return
        self.progress.candidates += 1
        self._listener.reduced(Candidate(bug, failure, found.verdict, found.reduction))

    def _fails_again(self, failure: Failure) -> int:
        """In how many of `AGAIN` runs the failure comes back. Reducing one that does not would follow chance."""
        with self._patience(failure.key):
            results = [self._executor.run(failure.case, selection(failure.key)) for _ in range(AGAIN)]
        return sum(result.failure(failure.key) is not None for result in results)

    def _set_apart(self, failure: Failure, again: int) -> None:
        """What comes and goes is not reduced, but counted in fresh processes; what has gone is named. More of it is put off."""
        self._unsteady[failure.key] += 1
        self._skipped[failure.key] = 2 ** self._unsteady[failure.key]
        if not again:
            self._listener.went_away(failure)
            return
        triggers = fields.triggers(failure.case)
        bug = Bug(failure.key, failure.case, triggers, [parse_triggers(triggers)], {failure.key.path})
        self.progress.candidates += 1
        self._listener.reduced(Candidate(bug, failure, failure.verdict, Reduction(failure.case, 0, finished=False)))

    def _region_of(self, found: Investigation) -> Suspect | None:
        self._deadline = max(self._deadline, time.monotonic()) + REGION_LIMIT
        try:
            return self._investigator.region_of(found)
        except OutOfTime:
            return None

    def _found_again(self, suspect: Suspect, failure: Failure, condition: Condition) -> None:
        """A reduction that ended at what is known already: more of these are put off, twice as long each time."""
        suspect.link(failure.key)
        suspect.count(failure)
        suspect.regions.append(condition)
        self._skipped[failure.key] = 2 ** len(suspect.regions)

    def _investigation(self, failure: Failure) -> Investigation | Suspect | Failure:
        spare = self._budget.left - self._listener.seconds_to_finish(failure.key)
        self._deadline = time.monotonic() + min(REDUCE_LIMIT, max(spare * REDUCE_SHARE, REDUCE_LEAST))
        with self._patience(failure.key):
            return self._investigator.investigate(failure)

    @contextlib.contextmanager
    def _patience(self, key: FailureKey) -> Iterator[None]:
        """The watchdog's time while only `key` is looked for."""
        watchdog = self._executor.watchdog
        if key.symptom is Symptom.HANG:
            self._executor.watchdog = min(watchdog, HANG_WATCHDOG)
        try:
            yield
        finally:
            self._executor.watchdog = watchdog

    def _trial(self, case: Case, key: FailureKey) -> CaseResult:
        if time.monotonic() > self._deadline:
            raise OutOfTime
        return self._executor.run(case, selection(key))
