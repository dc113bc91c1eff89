"""The campaign records without raising, makes each defect one candidate, and keeps to its time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import strategies as st

from fuzz.campaign import campaign as module
from fuzz.campaign.budget import Budget
from fuzz.campaign.campaign import CLOSING, MOST_WAITING, Campaign, Progress
from fuzz.campaign.mixture import Property
from fuzz.engine.executor import Executor, HarnessError
from fuzz.engine.verdict import CaseResult, FailureKey, PathVerdict, Ruling, Symptom
from fuzz.triage.bug import Failure
from fuzz.triage.investigate import Investigator
from fuzz.triage.known import load
from fuzz.triage.reduce import OutOfTime
from fuzz.triage.suspects import Suspects
from strategies import fields
from strategies.case import (
    Activation,
    Case,
    Execution,
    FloatDType,
    Layout,
    Layouts,
    Memory,
    Mode,
    PackedView,
    Quantization,
    QuantType,
    StorageDType,
    Weight,
)
from tests.fuzz.campaign.obedient import BLOCKSIZES, BREAKING, case, serve
from tests.fuzz.engine.fake_child import Do
from tests.fuzz.triage import planted
from tests.fuzz.triage.planted import Plant, PlantedExecutor
from tests.fuzz.triage.suspecting import bug, failure

KEY = FailureKey("functional.matmul_4bit", "matmul_4bit", Symptom.WRONG_VALUE, "")


@dataclasses.dataclass
class Recorder(planted.Recorder):
    """A listener that remembers, and needs `needs` seconds to finish one candidate."""

    needs: float = 0.0
    cases: int = 0
    gone: list[Failure] = dataclasses.field(default_factory=list)

    def progressed(self, progress: Progress) -> None:
        self.cases = progress.cases

    def went_away(self, failure: Failure) -> None:
        self.gone.append(failure)

    def seconds_to_finish(self, more: FailureKey | None = None) -> float:
        return 0.0 if more is None else self.needs


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with Executor("cpu", spares=1, serve=serve) as started:
        yield started


def drawing(*choices: Do) -> list[Property]:
    # Many different Cases: Hypothesis takes its time over a space that it has nearly exhausted.
    weights = st.builds(Weight, out_features=st.integers(1, 1000), in_features=st.integers(1, 1000))
    blocksizes = st.sampled_from([BLOCKSIZES[choice] for choice in choices])
    return [
        Property(
            "a property", st.builds(Case, quantization=st.builds(Quantization, blocksize=blocksizes), bias=st.booleans(), weight=weights)
        )
    ]


def run(executor: Executor, recorder: Recorder, *choices: Do, seconds: float = 60.0, most: int = 100) -> Campaign:
    campaign = Campaign(executor, Budget(seconds), recorder)
    campaign.explore(drawing(*choices), seed=1, until=seconds, most_cases=most)
    return campaign


def over(
    plants: Sequence[Plant], recorder: Recorder | None = None, suspects: Suspects | None = None, seconds: float = 3600.0
) -> tuple[Campaign, Recorder, PlantedExecutor]:
    """A campaign over planted defects."""
    recorder, planted_executor = recorder or Recorder(), PlantedExecutor(plants)
    return Campaign(planted_executor, Budget(seconds), recorder, suspects), recorder, planted_executor  # type: ignore[arg-type]


def wide(count: int) -> list[Case]:
    return [Case(weight=Weight(in_features=size)) for size in range(1, count + 1)]


ODD = Plant("odd", lambda case: case.weight.in_features % 2 == 1)
BIAS = Plant("bias", lambda case: case.bias)


def test_failures_are_counted_and_each_kind_is_reduced_once(executor: Executor) -> None:
    recorder = Recorder()
    campaign = run(executor, recorder, Do.ANSWER, Do.FAIL, Do.EXIT, most=30)
    assert [(one.bug.key.symptom, one.bug.key.how) for one in recorder.candidates] == [
        (one.key.symptom, one.key.how) for one in recorder.failures
    ]
    assert {one.bug.key.symptom for one in recorder.candidates} == {Symptom.WRONG_SHAPE, Symptom.PROCESS_DIED}
    assert len(recorder.candidates) == campaign.progress.candidates == 2
    assert sum(campaign.progress.failures.values()) > 2, "later failures of a kind are counted"
    assert recorder.cases == campaign.progress.cases > 0


def test_a_candidate_is_the_minimal_case_with_what_it_needs_and_a_failing_verdict(executor: Executor) -> None:
    recorder = Recorder()
    run(executor, recorder, Do.FAIL)
    (candidate,) = recorder.candidates
    assert candidate.reduction.finished
    assert candidate.reduction.case == candidate.bug.minimal == case(Do.FAIL)
    assert candidate.bug.triggers == {"quantization.blocksize": 32}
    assert candidate.verdict.symptom is Symptom.WRONG_SHAPE
    assert candidate.failure.drawn == recorder.failures[0].case


def test_the_search_stops_in_time(executor: Executor) -> None:
    budget = Budget(3.0)
    campaign = Campaign(executor, budget, Recorder())
    campaign.explore(drawing(Do.ANSWER), seed=1, until=60.0)
    assert 3.0 - CLOSING <= budget.elapsed < 3.5
    assert campaign.progress.stop_reason == "time"


def test_a_share_of_the_time_ends_a_property(executor: Executor) -> None:
    budget = Budget(30.0)
    Campaign(executor, budget, Recorder()).explore(drawing(Do.ANSWER), seed=1, until=1.0)
    assert budget.elapsed < 2.0


@pytest.mark.parametrize("most", [1, 100])
def test_a_number_of_cases_ends_a_property(executor: Executor, most: int) -> None:
    campaign = Campaign(executor, Budget(3600.0), Recorder())
    campaign.explore(drawing(Do.ANSWER), seed=1, until=3600.0, most_cases=most)
    assert campaign.progress.cases == most
    assert campaign.progress.stop_reason == "cases"
    campaign.explore(drawing(Do.ANSWER), seed=2, until=3600.0, most_cases=most + 50)
    assert campaign.progress.cases == most + 50, "it is the number of the whole run"


def test_a_mistake_of_the_harness_ends_the_campaign() -> None:
    with Executor("cpu", spares=0, serve=serve) as executor, pytest.raises(HarnessError, match="our own mistake"):
        Campaign(executor, Budget(60.0), Recorder()).explore([Property("a property", st.just(BREAKING))], seed=1, until=60.0)


def test_paths_that_end_children_rest_when_recovery_takes_too_much_time(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    skipped: list[Sequence[str]] = []
    submit = executor.submit

    def spy(case: Case, callback: object, only: Sequence[str] | None = None, skip: Sequence[str] = ()) -> None:
        skipped.append(skip)
        submit(case, callback, only, skip)  # type: ignore[arg-type]

    monkeypatch.setattr(executor, "submit", spy)
    monkeypatch.setattr(executor, "recovery_seconds", 1000.0)
    run(executor, Recorder(needs=100.0), Do.EXIT, Do.ANSWER)
    assert ["matmul_4bit"] in skipped


class BlockedByTwo(PlantedExecutor):
    """Of two elements, the path that comes first fails for another reason."""

    def _verdicts(self, case: Case, only: Sequence[str] | None) -> Iterator[PathVerdict]:
        if case.weight.elements != 2:
            yield from super()._verdicts(case, only)
        else:
            right = PathVerdict(path="dequantize_4bit", surface="functional.dequantize_4bit", ruling=Ruling.VALID, source="a test")
            yield dataclasses.replace(right, symptom=Symptom.WRONG_SHAPE)


def test_a_defect_that_needs_some_elements_has_one_name_whichever_dimension_has_them() -> None:
    several = Plant("several", lambda case: case.memory.out is Memory.STRIDED and case.weight.elements > 1, paths=("dequantize_4bit_out",))
    recorder = Recorder()
    campaign = Campaign(BlockedByTwo([several]), Budget(3600.0), recorder)  # type: ignore[arg-type]
    layouts, execution = Layouts(out=Memory.STRIDED), Execution(mode=Mode.OUT)
    for out, in_ in [(4, 64), (62, 2)]:
        campaign.replay([Case(weight=Weight(out_features=out, in_features=in_), memory=layouts, execution=execution)])
    names = [candidate.bug.triggers for candidate in recorder.candidates if candidate.bug.key.path == "dequantize_4bit_out"]
    assert names == [{"memory.out": "strided", "weight.in_features": "large"}]


def test_a_path_rests_where_what_is_known_ends_the_child_and_works_where_not(monkeypatch: pytest.MonkeyPatch) -> None:
    campaign, _, executor = over([dataclasses.replace(BIAS, symptom=Symptom.PROCESS_DIED)])
    skipped: dict[bool, Sequence[str]] = {}
    monkeypatch.setattr(executor, "submit", lambda case, callback, only=None, skip=(): skipped.update({case.bias: skip}))  # noqa: ARG005
    campaign.replay([Case(bias=True)])
    campaign.explore([Property("a property", st.builds(Case, bias=st.booleans()))], seed=1, until=60.0, most_cases=20)
    assert skipped == {True: [], False: []}
    executor.recovery_seconds = 1e9
    campaign.explore([Property("a property", st.builds(Case, bias=st.booleans()))], seed=1, until=60.0, most_cases=40)
    assert skipped == {True: ["matmul_4bit"], False: []}


def test_what_ends_the_child_is_looked_into_for_a_part_of_the_time_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REDUCE_LEAST", 0.0)
    monkeypatch.setattr(module, "ENDING_SHARE", 0.0)
    dies = dataclasses.replace(BIAS, symptom=Symptom.PROCESS_DIED)
    other = Plant("other", lambda case: case.execution.grad, symptom=Symptom.PROCESS_DIED)
    campaign, recorder, _ = over([dies, other, ODD])
    campaign.replay([Case(bias=True), Case(execution=Execution(grad=True)), *wide(3)])
    assert [candidate.bug.key.symptom for candidate in recorder.candidates] == [Symptom.PROCESS_DIED, Symptom.WRONG_VALUE]
    monkeypatch.setattr(module, "ENDING_SHARE", 1e9)
    campaign.replay(wide(2))
    assert [list(candidate.bug.triggers) for candidate in recorder.candidates] == [["bias"], ["weight.in_features"], ["execution.grad"]]


def test_counts_are_by_surface_path_ruling_and_kind_of_failure() -> None:
    campaign, _, _ = over([BIAS])
    campaign.replay([Case(), Case(bias=True)])
    progress = campaign.progress
    assert progress.cases == 2
    assert progress.surfaces["ops.gemv_4bit"] == 4
    assert progress.paths["gemv_4bit_op"] == progress.paths["matmul_4bit"] == 2
    assert progress.rulings == {"valid": 16}
    assert progress.failures == {KEY: 1}


def test_failures_that_a_defect_explains_are_counted_for_it() -> None:
    campaign, recorder, _ = over([ODD])
    campaign.replay(wide(1))
    campaign.replay(wide(40)[1:])
    (candidate,) = recorder.candidates
    assert candidate.bug is campaign.suspects.bugs[0]
    assert candidate.bug.observed == campaign.progress.failures[KEY] == 20
    assert len(recorder.failures) == 1, "what is explained is not told"
    assert len(candidate.bug.spares) == 2


def by_rows(case: Case) -> tuple[str, ...]:
    """A few rows go to the fused kernel, of float16 some more."""
    most = 32 if case.activation_dtype is FloatDType.FLOAT16 else 7
    return ("simt",) if case.activation.rows <= most else ("linear",)


def test_what_a_defect_does_in_its_kernel_is_explained_whatever_made_the_kernel_run() -> None:
    strided = Plant("strided", lambda case: case.memory.packed is Memory.STRIDED and by_rows(case) == ("simt",))
    campaign, recorder, executor = over([strided])
    executor.dispatch = by_rows
    laid_out = fields.replace(Case(), "memory.packed", Memory.STRIDED)
    campaign.replay([laid_out])
    half = fields.replace(laid_out, "activation.dtype", FloatDType.FLOAT16)
    campaign.replay([fields.replace(half, fields.ROWS, rows) for rows in (12, 20, 30)])
    (candidate,) = recorder.candidates
    assert candidate.bug.triggers == {"memory.packed": "strided", "activation.rows": "small"}
    assert candidate.bug.observed == campaign.progress.failures[KEY] == 4
    assert len(recorder.failures) == 1, "no reduction is needed for it"


def test_failures_that_a_row_explains_are_counted_for_it_and_told_to_nobody(tmp_path: Path) -> None:
    file = tmp_path / "known.toml"
    signature = "functional.matmul_4bit | matmul_4bit | wrong value | triggers: weight.in_features=odd"
    file.write_text(f'[[issue]]\nsignature = "{signature}"\nlink = "unreported"\nversions = ">=0"\nreason = "a test"\n', encoding="utf-8")
    suspects = Suspects(load(file))
    campaign, recorder, _ = over([ODD], suspects=suspects)
    campaign.replay(wide(40))
    assert (recorder.candidates, recorder.failures, recorder.late) == ([], [], [])
    assert suspects.rows[0].observed == 20
    assert campaign.progress.candidates == 0


def test_the_largest_error_of_a_defect_is_kept_with_its_case(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = PlantedExecutor._verdict

    def with_error(self: PlantedExecutor, case: Case, path: str, surface: str) -> PathVerdict:
        plain = verdict(self, case, path, surface)
        return dataclasses.replace(plain, error_over_bound=case.weight.in_features / 2) if plain.symptom else plain

    monkeypatch.setattr(PlantedExecutor, "_verdict", with_error)
    campaign, recorder, _ = over([ODD])
    campaign.replay(wide(1))
    campaign.replay(wide(40))
    (candidate,) = recorder.candidates
    assert candidate.bug.worst == (Case(weight=Weight(in_features=39)), 19.5)


def test_what_two_defects_explain_together_is_counted_for_both() -> None:
    campaign, recorder, _ = over([ODD, BIAS])
    campaign.replay([Case(), Case(weight=Weight(in_features=2), bias=True)])
    odd, bias = campaign.suspects.bugs
    campaign.replay([Case(bias=True)] * 3)
    assert (odd.observed, bias.observed) == (4, 4)
    assert len(recorder.candidates) == 2


def test_what_one_of_two_suspects_explains_alone_is_counted_for_it() -> None:
    """The second defect needs a float16 weight too; the examination saw that any other 16-bit weight does as well."""
    second = Plant("second", lambda case: case.execution.grad and case.weight.dtype is FloatDType.FLOAT16)
    campaign, _, _ = over([BIAS, second])
    busy = Case(weight=Weight(dtype=FloatDType.FLOAT16), execution=Execution(grad=True))
    campaign.replay([Case(bias=True), busy])
    by_bias, by_dtype = campaign.suspects.bugs
    campaign.suspects.bugs[1].regions.append(by_bias.regions[0])  # as if it had been taken for a part of it
    campaign.replay([Case(bias=True)])
    assert (by_bias.observed, by_dtype.observed) == (2, 1)


def test_another_defect_behind_a_known_one_is_seen() -> None:
    hidden = Plant("hidden", lambda case: case.quantization.compress_statistics)
    campaign, recorder, _ = over([BIAS, hidden])
    busy = Case(bias=True, quantization=Quantization(compress_statistics=True))
    campaign.replay([Case(bias=True), busy])
    assert [candidate.bug.triggers for candidate in recorder.candidates] == [
        {"bias": True},
        {"quantization.compress_statistics": True},
    ]
    assert recorder.candidates[1].failure.drawn == busy
    assert recorder.candidates[1].failure.case == dataclasses.replace(busy, bias=False)


def test_a_defect_that_fails_otherwise_is_seen_where_the_first_one_is_taken_back() -> None:
    plants = [dataclasses.replace(BIAS, symptom=Symptom.PROCESS_DIED), Plant("hidden", lambda case: case.execution.grad)]
    campaign, recorder, _ = over(plants)
    campaign.replay([Case(bias=True), Case(bias=True, execution=Execution(grad=True))])
    assert [candidate.bug.key.symptom for candidate in recorder.candidates] == [Symptom.PROCESS_DIED, Symptom.WRONG_VALUE]


@dataclasses.dataclass
class Unsteady(PlantedExecutor):
    """Fails as planted in every `period`-th run, as a race may."""

    period: int = 2

    def _verdicts(self, case: Case, only: Sequence[str] | None) -> Iterator[PathVerdict]:
        for verdict in super()._verdicts(case, only):
            yield verdict if self.runs % self.period == 1 else dataclasses.replace(verdict, symptom=None)


def test_what_comes_and_goes_is_a_candidate_as_it_was_seen() -> None:
    recorder = Recorder()
    executor = Unsteady([BIAS], period=2)
    campaign = Campaign(executor, Budget(3600.0), recorder)  # type: ignore[arg-type]
    seen = Case(bias=True, weight=Weight(in_features=7))
    campaign.replay([seen])
    (candidate,) = recorder.candidates
    assert candidate.bug.minimal == candidate.reduction.case == candidate.failure.case == seen
    assert not candidate.reduction.finished
    assert campaign.suspects.bugs == [], "it explains nothing"
    assert campaign.progress.candidates == 1
    assert executor.watchdog == 20.0


def test_what_has_gone_is_told_and_more_of_it_is_put_off() -> None:
    recorder = Recorder()
    campaign = Campaign(Unsteady([BIAS], period=1000), Budget(3600.0), recorder)  # type: ignore[arg-type]
    campaign.replay([Case(bias=True)])
    assert [failure.case for failure in recorder.gone] == [Case(bias=True)]
    assert recorder.candidates == []
    assert campaign._skipped[KEY] == 2


@dataclasses.dataclass
class Choosy(PlantedExecutor):
    """Takes the packed weight in one view with each layout, as releases before 0.50 do."""

    def _verdicts(self, case: Case, only: Sequence[str] | None) -> Iterator[PathVerdict]:
        if (case.weight.layout is Layout.IN_OUT) is (case.packed is PackedView.TRANSPOSED):
            yield from super()._verdicts(case, only)


def test_where_the_path_does_not_run_the_other_view_of_the_packed_weight_is_tried() -> None:
    recorder = Recorder()
    executor = Choosy([Plant("in_out", lambda case: case.weight.layout is Layout.IN_OUT)])
    campaign = Campaign(executor, Budget(3600.0), recorder)  # type: ignore[arg-type]
    turned = [
        Case(weight=Weight(in_features=size, layout=Layout.IN_OUT), packed=PackedView.TRANSPOSED, bias=bias)
        for size in range(1, 6)
        for bias in (False, True)
    ]
    campaign.replay(turned[:1])
    campaign.replay(turned)
    (candidate,) = recorder.candidates
    assert candidate.bug.triggers == {"weight.layout": "in_out"}, "the view is not why it fails"
    assert candidate.bug.observed == 1 + len(turned)


def test_without_time_at_most_so_many_failures_of_a_kind_wait_and_all_of_them_are_late() -> None:
    other = Plant("other", lambda case: case.weight.in_features % 2 == 0, symptom=Symptom.WRONG_SHAPE)
    campaign, recorder, _ = over([ODD, other], Recorder(needs=math.inf))
    campaign.explore(drawing(Do.ANSWER), seed=1, until=3600.0, most_cases=200)
    assert recorder.candidates == []
    assert {failure.key.symptom for failure in recorder.failures} == {Symptom.WRONG_VALUE, Symptom.WRONG_SHAPE}
    assert len(recorder.failures) == 2, "each kind is told once"
    assert sorted(failure.key.symptom.value for failure in recorder.late) == ["wrong shape"] * MOST_WAITING + ["wrong value"] * MOST_WAITING
    assert sum(campaign.progress.failures.values()) == campaign.progress.cases


def test_what_waits_is_reduced_as_soon_as_there_is_time() -> None:
    recorder = Recorder(needs=math.inf)
    campaign, _, _ = over([ODD], recorder)
    campaign.replay(wide(20))
    assert recorder.candidates == []
    recorder.needs = 0.0
    campaign.explore(drawing(Do.ANSWER), seed=1, until=3600.0, most_cases=21)
    (candidate,) = recorder.candidates
    assert candidate.failure.case == Case(), "the first that was seen"
    assert candidate.bug.observed >= MOST_WAITING, "those that waited with it are explained by it"
    assert recorder.late == []


def test_what_comes_too_late_is_named_and_not_reduced(executor: Executor) -> None:
    recorder = Recorder(needs=100.0)
    run(executor, recorder, Do.FAIL, seconds=3.0)
    assert recorder.candidates == []
    assert 1 <= len(recorder.late) <= MOST_WAITING
    assert recorder.late[0] == recorder.failures[0]


@pytest.fixture
def investigated(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    """The Cases that are investigated from here on."""
    seen: list[Case] = []
    investigate = Investigator.investigate

    def spy(self: Investigator, failure: object) -> object:
        seen.append(failure.case)  # type: ignore[attr-defined]
        return investigate(self, failure)  # type: ignore[arg-type]

    monkeypatch.setattr(Investigator, "investigate", spy)
    return seen


def test_what_is_found_again_is_put_off_longer_each_time(investigated: list[Case]) -> None:
    """Sizes that count together have no single rule: each reduction adds a region, and soon hardly any is left out."""
    campaign, recorder, _ = over([Plant("product", lambda case: case.weight.elements >= 300_000)])
    campaign.explore(drawing(Do.ANSWER), seed=1, until=3600.0, most_cases=1000)
    (bug,) = campaign.suspects.bugs
    failed = campaign.progress.failures[KEY]
    assert failed > 100
    assert 1 < len(bug.regions) <= len(investigated) <= math.log2(failed) + 2 * MOST_WAITING
    assert [candidate.bug for candidate in recorder.candidates] == [bug]


def test_what_is_put_off_is_not_told(investigated: list[Case]) -> None:
    campaign, recorder, _ = over([ODD])
    campaign._skipped[KEY] = 3
    campaign.replay(wide(5))
    assert (investigated, recorder.failures) == ([], [])
    campaign.replay(wide(1))
    assert investigated == [Case()]


def test_a_reduction_that_is_out_of_time_is_taken_up_again_where_it_was(monkeypatch: pytest.MonkeyPatch, investigated: list[Case]) -> None:
    """Time is up after every tenth trial."""
    trial = Campaign._trial
    trials = 0

    def now_and_then(self: Campaign, case: Case, key: FailureKey) -> CaseResult:
        nonlocal trials
        trials += 1
        if trials % 10 == 0:
            raise OutOfTime
        return trial(self, case, key)

    monkeypatch.setattr(Campaign, "_trial", now_and_then)
    campaign, recorder, executor = over([Plant("wide", lambda case: case.weight.in_features >= 77 and case.bias)])
    for _ in range(20):
        campaign.replay([Case(weight=Weight(out_features=33, in_features=500), bias=True)])
        if recorder.candidates:
            break
    (candidate,) = recorder.candidates
    assert candidate.bug.minimal == Case(weight=Weight(in_features=77), bias=True)
    assert candidate.bug.triggers == {"bias": True, "weight.in_features": "large"}
    assert len(investigated) > 2
    assert executor.runs < 200


def test_a_reduction_that_never_ends_gives_no_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not minimal would have a name of its own."""
    monkeypatch.setattr(module, "REDUCE_LEAST", -1.0)
    monkeypatch.setattr(module, "REDUCE_LIMIT", -1.0)
    campaign, recorder, _ = over([BIAS])
    campaign.explore(drawing(Do.ANSWER), seed=1, until=3600.0, most_cases=50)
    assert recorder.candidates == []
    assert len(recorder.failures) == 1
    assert 1 <= len(recorder.late) <= MOST_WAITING


def test_a_hang_is_reduced_with_a_shorter_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    watchdogs: list[float] = []
    executed = PlantedExecutor.run

    def spy(self: PlantedExecutor, case: Case, only: Sequence[str] | None = None) -> CaseResult:
        watchdogs.append(self.watchdog)
        return executed(self, case, only)

    campaign, recorder, executor = over([dataclasses.replace(BIAS, symptom=Symptom.HANG), ODD])
    monkeypatch.setattr(PlantedExecutor, "run", spy)
    campaign.replay([Case(weight=Weight(in_features=2), bias=True)])
    assert watchdogs[0] == executor.watchdog == 20.0, "in the search it has its usual time"
    assert set(watchdogs[1:]) == {module.HANG_WATCHDOG}
    watchdogs.clear()
    campaign.replay([Case()])
    assert set(watchdogs) == {20.0}
    assert len(recorder.candidates) == 2


def test_replay_runs_the_cases_first_and_tells_what_came_of_each() -> None:
    campaign, recorder, executor = over([ODD])
    cases = [Case(weight=Weight(in_features=2)), Case(activation=Activation(leading=(3,))), Case()]
    results = campaign.replay(iter(cases))
    assert [case for case, _ in results] == cases
    assert [result.failure(KEY) is not None for _, result in results] == [False, True, True]
    assert all(len(result.verdicts) == 8 for _, result in results)
    assert campaign.progress.cases == 3 < executor.runs
    (candidate,) = recorder.candidates
    assert candidate.bug.minimal == Case()
    assert candidate.failure.number == 2
    assert candidate.bug.observed == 2


def test_replay_of_nothing() -> None:
    campaign, recorder, executor = over([ODD])
    assert campaign.replay([]) == []
    assert executor.runs == campaign.progress.cases == 0
    assert recorder.candidates == []


def test_replay_stops_when_time_is_up() -> None:
    campaign, recorder, executor = over([ODD], seconds=CLOSING - 0.5)
    assert campaign.replay(wide(5)) == []
    assert executor.runs == 0
    assert recorder.late == []


def test_what_is_left_unexplained_at_the_very_end_is_late() -> None:
    campaign, recorder, _ = over([ODD], seconds=0.0)
    campaign.explore(drawing(Do.ANSWER), seed=1, until=3600.0)
    assert campaign.progress.cases == 1
    assert [failure.key for failure in recorder.late] == [KEY] * campaign.progress.failures[KEY]
    assert recorder.candidates == []


def test_what_was_found_while_a_failure_waited_explains_it_in_the_end() -> None:
    campaign, _, _ = over([ODD, BIAS])
    even = Case(weight=Weight(in_features=2), bias=True)
    campaign._waiting += [failure(KEY, wide(4)[2]), failure(KEY, even)]
    campaign.suspects.bugs.append(bug({"weight.in_features": "odd"}, KEY))
    campaign._budget = Budget(3600.0)
    assert [late.case for late in campaign._still_unexplained()] == [even]
    campaign._budget = Budget(0.0)
    assert len(list(campaign._still_unexplained())) == 2


def test_progress_is_told_after_every_case_and_at_once() -> None:
    recorder = Recorder()
    campaign, _, _ = over([], recorder)
    campaign.replay(wide(1))
    assert recorder.cases == 1
    campaign.replay(wide(4))
    assert recorder.cases == 5


def test_a_failure_says_when_it_was_seen() -> None:
    campaign, recorder, _ = over([BIAS])
    campaign.replay([*wide(4), Case(bias=True)])
    (failure,) = recorder.failures
    assert failure.number == 5
    assert 0 <= failure.elapsed < 60
    assert failure.drawn == failure.case == Case(bias=True)


def test_choices_are_taken_back_together_with_sizes() -> None:
    both = Plant("both", lambda case: case.weight.in_features % 2 == 1 and case.quantization.quant_type is QuantType.FP4)
    storage = Plant("storage", lambda case: case.quantization.storage is StorageDType.FLOAT32)
    campaign, recorder, _ = over([both, storage])
    fp4 = Quantization(quant_type=QuantType.FP4, storage=StorageDType.FLOAT32)
    campaign.replay([Case(quantization=Quantization(quant_type=QuantType.FP4)), Case(quantization=fp4)])
    assert [candidate.bug.triggers for candidate in recorder.candidates] == [
        {"quantization.quant_type": "fp4", "weight.in_features": "odd"},
        {"quantization.storage": "float32"},
    ]
