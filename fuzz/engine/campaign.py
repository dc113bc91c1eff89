"""The campaign: draws Cases until time is up, records failures without raising, reduces and verifies each kind once.

    explore ── failing verdict of a new kind ──► observation on disk ──► reduction ──► candidate
    time is nearly up ──► candidates are verified side by side ──► findings
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Protocol

from hypothesis.strategies import SearchStrategy

from fuzz.engine.budget import Budget
from fuzz.engine.executor import Executor
from fuzz.engine.explore import explore
from fuzz.engine.reduce import OutOfTime, Reduction, reduce_case
from fuzz.engine.verdict import CaseResult, FailureKey, PathVerdict, Symptom
from fuzz.engine.verify import ATTEMPTS, Verification, selection, verify
from strategies.case import Case

REDUCE_LIMIT: Final = 45.0
"""Seconds for one reduction; ordinary ones take one or two, those that kill or hang the child more."""

REDUCE_SHARE: Final = 0.25
"""Part of the time that is left which one reduction may take, so that one slow failure does not eat the run."""

HANG_WATCHDOG: Final = 3.0
"""Watchdog while a hang is reduced: each trial that hangs costs this much, and a path takes milliseconds."""

RETRIES: Final = 3
"""Candidates of one kind: if the first does not fail again in a fresh process, the next observation is tried."""

RESERVE_BASE: Final = 3.0
"""Seconds at the end for writing reports."""

SCRIPT_STARTS: Final = 1.5
"""A script's duration in cold starts, roughly: its own, and the call."""


class Listener(Protocol):
    """Told what happens, as it happens."""

    def observed(self, observation: Observation) -> None:
        """A kind of failure was seen for the first time."""

    def progressed(self, progress: Progress) -> None:
        """Called after every Case."""


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
    """A reduced observation."""

    observation: Observation
    reduction: Reduction


@dataclass(frozen=True, slots=True)
class Verified:
    """A candidate and what fresh processes made of it. `observed` counts the Cases of the run that failed like it."""

    candidate: Candidate
    verification: Verification
    observed: int


@dataclass(slots=True)
class Progress:
    """Counts of a run so far."""

    cases: int = 0
    surfaces: Counter[str] = field(default_factory=Counter)
    paths: Counter[str] = field(default_factory=Counter)
    rulings: Counter[str] = field(default_factory=Counter)
    failures: Counter[FailureKey] = field(default_factory=Counter)
    candidates: int = 0
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
        device: for the fresh processes of the verification.
        budget: of the whole run.
        listener: told of observations and progress.
        start_seconds: what a cold start costs here; decides how much time is kept for the end.
    """

    def __init__(self, executor: Executor, device: str, budget: Budget, listener: Listener, start_seconds: float) -> None:
        self._executor, self._device, self._budget, self._listener = executor, device, budget, listener
        self._start_seconds = start_seconds
        self._fresh: list[Observation] = []
        self._tries: Counter[FailureKey] = Counter()
        self._spares: dict[FailureKey, list[Observation]] = {}
        self.candidates: list[Candidate] = []
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
        self._reduce_fresh()
        self.progress.stop_reason = "time"

    def replay(self, cases: Iterable[Case]) -> None:
        """Run the given Cases as if they had been drawn."""
        for case in cases:
            self._executor.submit(case, self._collector(case))
        self._executor.drain()
        self._reduce_fresh()

    def verify(self) -> list[Verified]:
        """Verify the candidates in fresh processes, several at a time, in the order in which they were seen."""
        workers = self._workers()
        with ThreadPoolExecutor(max_workers=workers) as pool:
            return list(pool.map(self._verify, self.candidates))

    def _workers(self) -> int:
        return max(1, min(6, os.cpu_count() or 1, len(self.candidates)))

    @property
    def reserve(self) -> float:
        """Seconds that verifying the candidates so far will take, from what a cold start takes here."""
        rounds = -(-len(self.candidates) // self._workers())
        return RESERVE_BASE + rounds * self._start_seconds * (SCRIPT_STARTS + (ATTEMPTS + 1) * 0.4)

    def _visit(self, case: Case, until: float) -> bool:
        self._executor.submit(case, self._collector(case))
        if self._fresh:
            self._executor.drain()
            self._reduce_fresh()
        return self._budget.elapsed < until and self._budget.left > self.reserve

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
            self._spares.setdefault(observation.key, []).append(observation)
            return
        self._fresh.append(observation)
        self._listener.observed(observation)

    def _reduce_fresh(self) -> None:
        while self._fresh:
            observation = self._fresh.pop(0)
            self._add_candidate(Candidate(observation, self._reduce(observation)))

    def _add_candidate(self, candidate: Candidate) -> None:
        self.candidates.append(candidate)
        self.progress.candidates = len(self.candidates)

    def _reduce(self, observation: Observation) -> Reduction:
        key = observation.key
        limit = min(REDUCE_LIMIT, max(self._budget.left - self.reserve, 0.0) * REDUCE_SHARE)
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

    def _verify(self, candidate: Candidate) -> Verified:
        key = candidate.observation.key
        watchdog = min(self._executor.watchdog, HANG_WATCHDOG * 2) if key.symptom is Symptom.HANG else self._executor.watchdog
        verification = verify(candidate.reduction.case, key, self._device, watchdog)
        for spare in self._spares.get(key, []):
            if verification.reproduced:
                break
            # What was seen first may have been the work of an earlier Case in the same process; this one is not reduced.
            candidate = Candidate(spare, Reduction(spare.case, 0, finished=False))
            verification = verify(spare.case, key, self._device, watchdog)
        return Verified(candidate, verification, self.progress.failures[key])
