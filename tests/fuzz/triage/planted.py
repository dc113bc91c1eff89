"""Campaigns over defects whose conditions are known, without a library: a Case fails if a planted condition holds."""

from __future__ import annotations

import dataclasses
import functools
import json
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis.strategies import SearchStrategy

from fuzz.campaign import campaign as campaign_module
from fuzz.campaign.budget import Budget
from fuzz.campaign.campaign import Campaign, Candidate, Progress
from fuzz.campaign.mixture import Drawn, Property
from fuzz.engine.verdict import ENDING, CaseResult, FailureKey, PathVerdict, Ruling, Symptom
from fuzz.triage.bug import Failure
from fuzz.triage.suspects import Suspects
from fuzz.triage.verify import paths_in
from strategies.case import Case, PackedView
from strategies.cases import cases

PROJECT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Plant:
    """A defect: fails in this way where its condition holds."""

    name: str
    condition: Callable[[Case], bool]
    paths: tuple[str, ...] = ("matmul_4bit",)
    symptom: Symptom = Symptom.WRONG_VALUE
    how: str = ""
    arms: tuple[str, ...] = ()


@dataclass
class PlantedExecutor:
    """Answers as `Executor` does, at once.

    Of several defects on a path the first decides the symptom, and after one that ends the child nothing more is run.

    Attributes:
        dispatch: the kernels of a Case, on every path.
        views: the view of the packed weight that a path takes; others take both.
        allowed: where a path may raise, and does.
    """

    plants: Sequence[Plant]
    dispatch: Callable[[Case], tuple[str, ...]] = lambda _: ()
    views: Mapping[str, PackedView] = field(default_factory=dict)
    allowed: Callable[[Case], bool] = lambda _: False
    runs: int = 0
    watchdog: float = 20.0
    recovery_seconds: float = 0.0
    _queue: deque[tuple[Case, Callable[[CaseResult], None], Sequence[str] | None]] = field(default_factory=deque)

    def submit(
        self, case: Case, callback: Callable[[CaseResult], None], only: Sequence[str] | None = None, skip: Sequence[str] = ()
    ) -> None:
        del skip
        self._queue.append((case, callback, only))
        if len(self._queue) >= 8:
            self._step()

    def run(self, case: Case, only: Sequence[str] | None = None) -> CaseResult:
        results: list[CaseResult] = []
        self._queue.append((case, results.append, only))
        self.drain()
        return results[0]

    def drain(self) -> None:
        while self._queue:
            self._step()

    def _step(self) -> None:
        case, callback, only = self._queue.popleft()
        self.runs += 1
        callback(CaseResult(tuple(self._verdicts(case, only))))

    def _verdicts(self, case: Case, only: Sequence[str] | None) -> Iterator[PathVerdict]:
        for path, surface in paths_in(case.execution.mode).items():
            if (only is None or path in only) and self.views.get(path, case.packed) is case.packed:
                verdict = self._verdict(case, path, surface)
                yield verdict
                if verdict.symptom in ENDING:
                    return

    def _verdict(self, case: Case, path: str, surface: str) -> PathVerdict:
        right = PathVerdict(path=path, surface=surface, ruling=Ruling.VALID, source="a test", arms=self.dispatch(case))
        acting = [plant for plant in self.plants if path in plant.paths and plant.condition(case)]
        if not acting:
            return dataclasses.replace(right, got="ValueError: no" if self.allowed(case) else "")
        return dataclasses.replace(right, symptom=acting[0].symptom, how=acting[0].how, arms=acting[0].arms or right.arms)


@dataclass
class Recorder:
    """A listener that remembers."""

    failures: list[Failure] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    late: list[Failure] = field(default_factory=list)

    def observed(self, failure: Failure) -> None:
        self.failures.append(failure)

    def progressed(self, progress: Progress) -> None:
        pass

    def reduced(self, candidate: Candidate) -> None:
        self.candidates.append(candidate)

    def came_late(self, failure: Failure) -> None:
        self.late.append(failure)

    def went_away(self, failure: Failure) -> None:
        self.late.append(failure)

    def seconds_to_finish(self, more: FailureKey | None = None) -> float:
        del more
        return 0.0


def campaign(plants: Sequence[Plant], suspects: Suspects | None = None) -> tuple[Campaign, Recorder, PlantedExecutor]:
    """A campaign over planted defects, with its listener and its executor."""
    recorder, executor = Recorder(), PlantedExecutor(plants)
    return Campaign(executor, Budget(3600.0), recorder, suspects), recorder, executor  # type: ignore[arg-type]


_DRAW = """
import json, sys
from fuzz.campaign.explore import explore
from strategies.cases import cases

seen = []

def visit(case):
    seen.append(case.to_json())
    return len(seen) < int(sys.argv[2])

explore(cases(), int(sys.argv[1]), visit)
json.dump(seen, sys.stdout)
"""


@functools.cache
def drawn(seed: int, count: int) -> tuple[Case, ...]:
    """The first Cases of a search. They are drawn once, which is what takes the time.

    In a process of its own, because Hypothesis also draws numbers that it reads in the modules that are loaded.
    """
    command = [sys.executable, "-c", _DRAW, str(seed), str(count)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    return tuple(map(Case.from_json, json.loads(done.stdout)))


def search(
    monkeypatch: pytest.MonkeyPatch, plants: Sequence[Plant], searched: Sequence[Case], suspects: Suspects | None = None
) -> tuple[Campaign, Recorder, PlantedExecutor]:
    """A campaign that has drawn these Cases."""

    def explore_these(strategy: SearchStrategy[Drawn], seed: int, visit: Callable[[Drawn], bool]) -> None:
        del strategy, seed
        all(visit(Drawn("a property", case)) for case in searched)

    monkeypatch.setattr(campaign_module, "explore", explore_these)
    ran, recorder, executor = campaign(plants, suspects)
    ran.explore([Property("a property", cases())], seed=0, until=3600.0)
    return ran, recorder, executor
