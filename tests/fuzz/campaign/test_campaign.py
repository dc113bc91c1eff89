"""The campaign records without raising, reduces each kind of failure once, and keeps to its time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from hypothesis import strategies as st

from fuzz.campaign.budget import Budget
from fuzz.campaign.campaign import Campaign, Candidate, Observation, Progress
from fuzz.engine.executor import Executor
from fuzz.engine.verdict import Symptom
from strategies.case import Case, Weight
from tests.fuzz.engine.fake_child import Do, serve


@dataclasses.dataclass
class Recorder:
    """A listener that remembers, and needs `needs` seconds to finish one candidate."""

    needs: float = 0.0
    observations: list[Observation] = dataclasses.field(default_factory=list)
    candidates: list[Candidate] = dataclasses.field(default_factory=list)
    late: list[Observation] = dataclasses.field(default_factory=list)
    cases: int = 0

    def observed(self, observation: Observation) -> None:
        self.observations.append(observation)

    def progressed(self, progress: Progress) -> None:
        self.cases = progress.cases

    def reduced(self, candidate: Candidate) -> None:
        self.candidates.append(candidate)

    def came_late(self, observation: Observation) -> None:
        self.late.append(observation)

    def seconds_to_finish(self, more: Observation | None = None) -> float:
        return 0.0 if more is None else self.needs


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with Executor("cpu", watchdog=1.0, spares=1, serve=serve) as started:
        yield started


def drawing(*choices: Do) -> st.SearchStrategy[Case]:
    # Many different Cases: Hypothesis takes its time over a space that it has nearly exhausted.
    weights = st.builds(Weight, out_features=st.integers(1, 1000), in_features=st.integers(1, 1000))
    return st.builds(Case, seed=st.sampled_from([int(choice) for choice in choices]), bias=st.booleans(), weight=weights)


def run(executor: Executor, recorder: Recorder, *choices: Do, seconds: float = 6.0) -> Campaign:
    campaign = Campaign(executor, Budget(seconds), recorder)
    campaign.explore(drawing(*choices), seed=1, until=seconds)
    return campaign


def test_failures_are_counted_and_each_kind_is_reduced_once(executor: Executor) -> None:
    recorder = Recorder()
    campaign = run(executor, recorder, Do.ANSWER, Do.FAIL, Do.EXIT)
    kinds = {(candidate.observation.key.symptom, candidate.observation.key.how) for candidate in recorder.candidates}
    assert kinds == {(Symptom.WRONG_SHAPE, ""), (Symptom.PROCESS_DIED, "exit status 1")}
    assert len(recorder.candidates) == 2
    assert sum(campaign.progress.failures.values()) > 2, "later failures of a kind are counted"
    assert recorder.cases == campaign.progress.cases > 0


def test_a_candidate_is_the_minimal_case(executor: Executor) -> None:
    recorder = Recorder()
    run(executor, recorder, Do.FAIL)
    (candidate,) = recorder.candidates
    assert candidate.reduction.finished
    assert candidate.reduction.case == Case(seed=int(Do.FAIL)), "the bias is neutral and the seed necessary"


def test_the_search_stops_in_time(executor: Executor) -> None:
    budget = Budget(3.0)
    campaign = Campaign(executor, budget, Recorder())
    campaign.explore(drawing(Do.ANSWER), seed=1, until=60.0)
    assert budget.elapsed < 3.5
    assert campaign.progress.stop_reason == "time"


def test_a_share_of_the_time_ends_a_property(executor: Executor) -> None:
    budget = Budget(30.0)
    Campaign(executor, budget, Recorder()).explore(drawing(Do.ANSWER), seed=1, until=1.0)
    assert budget.elapsed < 2.0


def test_what_comes_too_late_is_named_and_not_reduced(executor: Executor) -> None:
    recorder = Recorder(needs=100.0)
    run(executor, recorder, Do.FAIL, seconds=3.0)
    assert recorder.candidates == []
    assert len(recorder.late) == 1


def test_paths_that_end_children_rest_when_recovery_takes_too_much_time(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    skipped: list[list[str]] = []
    submit = executor.submit

    def spy(case: Case, callback: object, *, skip: list[str]) -> None:
        skipped.append(skip)
        submit(case, callback, skip=skip)  # type: ignore[arg-type]

    monkeypatch.setattr(executor, "submit", spy)
    monkeypatch.setattr(executor, "recovery_seconds", 1000.0)
    run(executor, Recorder(), Do.EXIT, Do.ANSWER, seconds=6.0)
    assert ["matmul_4bit"] in skipped
