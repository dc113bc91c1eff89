"""The campaign: draws Cases until time is up, records failures without raising, reduces and verifies each kind once.

explore ── failing verdict of a new kind ──► observation on disk ──► reduction ──► candidate
candidate ──► verified in fresh processes, in the background, while the search goes on ──► finding
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from hypothesis.strategies import SearchStrategy

from fuzz.campaign.budget import Budget
from fuzz.campaign.explore import explore
from fuzz.engine.executor import Executor
from fuzz.engine.verdict import CaseResult, FailureKey, PathVerdict, Symptom
from fuzz.triage.reduce import OutOfTime, Reduction, reduce_case
from fuzz.triage.verify import QUANTIZE, selection
from strategies.case import Case

REDUCE_LIMIT: Final = 45.0
"""Seconds for one reduction; ordinary ones take one or two, those that kill or hang the child more."""

REDUCE_LEAST: Final = 5.0
"""Seconds that every reduction gets: a Case that is not minimal has a signature of its own."""

REDUCE_SHARE: Final = 0.25
"""Part of the time that is left which one reduction may take, so that one slow failure does not eat the run."""

HANG_WATCHDOG: Final = 3.0
"""Watchdog while a hang is reduced and verified: each trial costs this much, and a path takes milliseconds."""

RETRIES: Final = 3
"""Candidates of one kind: if the first does not fail again in a fresh process, the next observation is tried."""

CLOSING: Final = 2.0
"""Seconds at the end of the budget in which nothing more is drawn: the last confirmation and the reports."""

RECOVERY_SHARE: Final = 0.2
"""Part of the time that may go into replacing children. Beyond it the paths that end them rest for a while."""

ENDING: Final = frozenset({Symptom.PROCESS_DIED, Symptom.HANG, Symptom.CONTEXT_LOST})


class Listener(Protocol):
    """Told what happens, as it happens."""

    def observed(self, observation: Observation) -> None:
        """A kind of failure was seen for the first time."""

    def progressed(self, progress: Progress) -> None:
        """Called after every Case."""

    def reduced(self, candidate: Candidate) -> None:
        """A failure was reduced; from here on it is the listener's."""

    def came_late(self, observation: Observation) -> None:
        """A failure was seen when no time was left to reduce and confirm it."""

    def seconds_to_finish(self, more: Observation | None = None) -> float:
        """Seconds that the listener needs at the end for the candidates it works on, and for one `more`."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A failing verdict as first seen."""

    key: FailureKey
    case: Case
    verdict: PathVerdict
    number: int
    elapsed: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A reduced observation. `spares` are later failures of the same kind, should this one not come back."""

    observation: Observation
    reduction: Reduction
    spares: list[Observation]


@dataclass(slots=True)
class Progress:
    """Counts of a run so far."""

    cases: int = 0
    surfaces: Counter[str] = field(default_factory=Counter)
    paths: Counter[str] = field(default_factory=Counter)
    rulings: Counter[str] = field(default_factory=Counter)
    failures: Counter[FailureKey] = field(default_factory=Counter)
    candidates: int = 0
    confirmed: int = 0
    stop_reason: str = "running"

    def count(self, result: CaseResult) -> None:
        """Add one Case's verdicts."""
        self.cases += 1
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
        listener: told of observations, candidates and progress.
    """

    def __init__(self, executor: Executor, budget: Budget, listener: Listener) -> None:
        self._executor, self._budget, self._listener = executor, budget, listener
        self._waiting: list[Observation] = []
        self._tries: Counter[FailureKey] = Counter()
        self._spares: defaultdict[FailureKey, list[Observation]] = defaultdict(list)
        self.progress = Progress()

    def explore(self, strategy: SearchStrategy[Case], seed: int, until: float) -> None:
        """Draw and run Cases until the budget, less what the verification needs, is used up.

        Args:
            strategy: what to draw from.
            seed: of the search.
            until: seconds on the budget's clock at which this property's share ends.
        """
        explore(strategy, seed, lambda case: self._visit(case, until))
        self._executor.drain()
        self._reduce_waiting()
        for observation in self._waiting:
            self._listener.came_late(observation)
        self._waiting.clear()
        self.progress.stop_reason = "time"

    def _visit(self, case: Case, until: float) -> bool:
        self._executor.submit(case, self._collector(case), skip=self._resting())
        if any(self._has_time_for(observation) for observation in self._waiting):
            self._executor.drain()
            self._reduce_waiting()
        return self._budget.elapsed < until and self._budget.left > CLOSING

    def _resting(self) -> list[str]:
        if self._executor.recovery_seconds < RECOVERY_SHARE * self._budget.elapsed:
            return []
        return sorted({key.path for key in self.progress.failures if key.symptom in ENDING and key.path != QUANTIZE})

    def _collector(self, case: Case) -> Callable[[CaseResult], None]:
        return lambda result: self._collect(case, result)

    def _collect(self, case: Case, result: CaseResult) -> None:
        self.progress.count(result)
        for verdict in result.failures:
            self._note(Observation(FailureKey.of(verdict), case, verdict, self.progress.cases, self._budget.elapsed))
        self._listener.progressed(self.progress)

    def _note(self, observation: Observation) -> None:
        """Record a failure; the first of its kind is to be reduced, the next ones are kept should it not come back."""
        seen = self._tries[observation.key]
        if seen >= RETRIES:
            return
        self._tries[observation.key] += 1
        if seen:
            self._spares[observation.key].append(observation)
            return
        self._waiting.append(observation)
        self._listener.observed(observation)

    def _has_time_for(self, observation: Observation) -> bool:
        return self._budget.left >= self._listener.seconds_to_finish(observation)

    def _reduce_waiting(self) -> None:
        """Reduce what there is time for; the rest waits until confirmations have made room, or comes too late."""
        waiting, self._waiting = self._waiting, []
        for observation in waiting:
            if not self._has_time_for(observation):
                self._waiting.append(observation)
                continue
            reduction = self._reduce(observation)
            self.progress.candidates += 1
            self._listener.reduced(Candidate(observation, reduction, self._spares[observation.key]))

    def _reduce(self, observation: Observation) -> Reduction:
        key = observation.key
        spare = self._budget.left - self._listener.seconds_to_finish(observation)
        limit = min(REDUCE_LIMIT, max(spare * REDUCE_SHARE, REDUCE_LEAST))
        deadline = time.monotonic() + limit
        watchdog = self._executor.watchdog
        if key.symptom is Symptom.HANG:
            self._executor.watchdog = min(watchdog, HANG_WATCHDOG)

        def fails(case: Case) -> bool:
            if time.monotonic() > deadline:
                raise OutOfTime
            return self._executor.run(case, selection(key)).failure(key) is not None

        try:
            return reduce_case(observation.case, fails)
        finally:
            self._executor.watchdog = watchdog
