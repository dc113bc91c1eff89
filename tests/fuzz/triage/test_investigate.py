"""What becomes of a failure: its path, its minimal Case, what it needs, or what is known already."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from fuzz.engine.verdict import CaseResult, FailureKey, PathVerdict, Ruling, Symptom
from fuzz.triage.bug import Bug, Failure
from fuzz.triage.investigate import Investigation, Investigator
from fuzz.triage.reduce import OutOfTime
from fuzz.triage.suspects import Suspects
from fuzz.triage.verify import QUANTIZE, QUANTIZE_SURFACE, paths_in, selection
from strategies import fields
from strategies.case import Case, Fill, FloatDType, Layout, Memory, Mode, PackedView, Quantization, QuantType, StorageDType, Weight
from strategies.misuse import ALIKE, Misuse
from tests.fuzz.triage.emulated import both
from tests.fuzz.triage.planted import Plant, PlantedExecutor
from tests.fuzz.triage.suspecting import GEMV, LINEAR, MATMUL, bug, failure, key, pattern

BUSY = Case(
    weight=Weight(out_features=96, in_features=333, dtype=FloatDType.FLOAT16, fill=Fill.HEAVY_TAILED),
    quantization=Quantization(quant_type=QuantType.FP4, blocksize=256, compress_statistics=True, storage=StorageDType.FLOAT32),
    bias=True,
    seed=7,
)
WIDE = Plant("wide", lambda case: case.weight.in_features >= 100 and case.bias)


def investigator(plants: Sequence[Plant], *known: Bug) -> tuple[Investigator, PlantedExecutor]:
    """One over planted defects; the executor counts its trials."""
    executor, suspects = PlantedExecutor(plants), Suspects()
    suspects.bugs += known
    return Investigator(lambda case, of: executor.run(case, selection(of)), suspects), executor


def found(
    plants: Sequence[Plant], of: FailureKey | None = None, case: Case = BUSY, dispatch: Callable[[Case], tuple[str, ...]] = lambda _: ()
) -> Investigation:
    """What is found for a failure of `case`."""
    searcher, executor = investigator(plants)
    executor.dispatch = dispatch
    result = searcher.investigate(failure(of or key(), case))
    assert isinstance(result, Investigation)
    return result


def test_a_failure_becomes_a_minimal_case_and_what_it_needs() -> None:
    result = found([WIDE])
    assert result.key == key()
    assert result.reduction.case == Case(weight=Weight(in_features=100), bias=True)
    assert result.reduction.finished
    assert 0 < result.reduction.trials < 200
    assert result.examined.triggers == {"bias": True, "weight.in_features": "large"}
    assert result.paths == {MATMUL}
    assert result.verdict.symptom is Symptom.WRONG_VALUE


@pytest.mark.parametrize("seen", ["dequantize_linear", MATMUL, "gemm_4bit_op", LINEAR])
def test_a_defect_of_several_paths_is_named_after_the_first_wherever_it_was_seen(seen: str) -> None:
    paths = ("dequantize_linear", MATMUL, "gemm_4bit_op", LINEAR)
    result = found([dataclasses.replace(WIDE, paths=paths)], key(seen))
    assert result.key == key("dequantize_linear")
    assert result.paths == set(paths)
    assert result.verdict.path == "dequantize_linear"
    assert result.reduction.case == Case(weight=Weight(in_features=100), bias=True)


@pytest.mark.parametrize("first", paths_in(Mode.CALL))
def test_the_order_of_the_paths_is_fixed(first: str) -> None:
    later = list(paths_in(Mode.CALL))[list(paths_in(Mode.CALL)).index(first) :]
    assert found([dataclasses.replace(WIDE, paths=tuple(reversed(later)))], key(later[-1])).key == key(first)


def test_the_case_is_minimal_on_the_path_that_gives_the_name() -> None:
    """Where the first path fails for less, the defect is reduced again."""
    first = Plant("first", lambda case: case.weight.in_features >= 10)
    later = Plant("later", lambda case: case.weight.in_features >= 100 and case.bias, paths=(LINEAR,))
    result = found([first, later], key(LINEAR))
    assert result.key == key(MATMUL)
    assert result.reduction.case == Case(weight=Weight(in_features=10))
    assert result.paths == {MATMUL, LINEAR}, "it was seen on the other one"
    assert result.reduction.trials > found([first]).reduction.trials, "those of both reductions"


def test_another_way_to_fail_is_another_defect() -> None:
    shape = dataclasses.replace(WIDE, paths=(MATMUL,), symptom=Symptom.WRONG_SHAPE)
    value = dataclasses.replace(WIDE, paths=(LINEAR,))
    assert found([shape, value], key(LINEAR)).paths == {LINEAR}
    raises = dataclasses.replace(WIDE, paths=(MATMUL,), symptom=Symptom.UNEXPECTED_EXCEPTION, how="TypeError")
    otherwise = dataclasses.replace(raises, paths=(LINEAR,), how="RuntimeError")
    assert found([raises, otherwise], key(LINEAR, Symptom.UNEXPECTED_EXCEPTION, "RuntimeError")).paths == {LINEAR}


def test_a_path_that_fails_for_another_reason_is_not_taken_along() -> None:
    elsewhere = Plant("elsewhere", lambda case: case.quantization.compress_statistics)
    result = found([elsewhere, dataclasses.replace(WIDE, paths=(LINEAR,))], key(LINEAR))
    assert result.key.path == LINEAR
    assert result.paths == {LINEAR}


def test_a_hang_is_looked_for_on_its_path_only() -> None:
    """Each trial costs the watchdog's time."""
    hang = dataclasses.replace(WIDE, symptom=Symptom.HANG, paths=(MATMUL, LINEAR))
    result = found([hang], key(LINEAR, Symptom.HANG))
    assert result.key.path == LINEAR
    assert result.paths == {LINEAR}


def test_failures_that_end_the_child_are_looked_at_with_fewer_cases() -> None:
    runs = {}
    for symptom in (Symptom.WRONG_VALUE, Symptom.CONTEXT_LOST, Symptom.HANG):
        examined, executor = investigator([dataclasses.replace(WIDE, symptom=symptom)])
        examined.investigate(failure(key(symptom=symptom), BUSY))
        runs[symptom] = executor.runs
    assert runs[Symptom.HANG] < runs[Symptom.CONTEXT_LOST] < runs[Symptom.WRONG_VALUE]


def test_a_failure_of_the_quantization_has_no_other_path() -> None:
    of = FailureKey(QUANTIZE_SURFACE, QUANTIZE, Symptom.WRONG_VALUE, "")
    asked: list[FailureKey] = []

    def trial(case: Case, of: FailureKey) -> CaseResult:
        asked.append(of)
        symptom = of.symptom if case.quantization.compress_statistics else None
        verdict = PathVerdict(path=of.path, surface=of.surface, ruling=Ruling.VALID, source="a test", symptom=symptom)
        return CaseResult((verdict,))

    result = Investigator(trial, Suspects()).investigate(failure(of, BUSY))
    assert isinstance(result, Investigation)
    assert result.key == of
    assert result.paths == {QUANTIZE}
    assert result.examined.triggers == {"quantization.compress_statistics": True}
    assert set(asked) == {of}


def test_range_divergence_is_looked_for_with_other_numbers_on_the_other_paths() -> None:
    """Which numbers leave the range depends on a kernel's order of sums."""

    def leaves(lucky: int) -> Callable[[Case], bool]:
        return lambda case: case.activation.fill is Fill.HUGE and case.seed % 3 == lucky

    plants = [
        Plant("first", leaves(1), symptom=Symptom.RANGE_DIVERGENCE),
        Plant("later", leaves(0), paths=(LINEAR,), symptom=Symptom.RANGE_DIVERGENCE),
    ]
    case = fields.replace(BUSY, "activation.fill", Fill.HUGE)
    result = found(plants, key(LINEAR, Symptom.RANGE_DIVERGENCE), dataclasses.replace(case, seed=9))
    assert result.key == key(MATMUL, Symptom.RANGE_DIVERGENCE)
    assert result.paths == {MATMUL, LINEAR}
    value = [dataclasses.replace(plant, symptom=Symptom.WRONG_VALUE) for plant in plants]
    assert found(value, key(LINEAR), dataclasses.replace(case, seed=9)).paths == {LINEAR}


def known_as(result: Investigation) -> Bug:
    condition = result.examined.condition
    return Bug(result.key, result.reduction.case, result.examined.triggers, [condition], set(result.paths), result.kernels)


def test_what_is_known_of_another_path_is_returned() -> None:
    """The second path failed in a Case in which the first did not, so that nobody knew of it."""
    plant = dataclasses.replace(WIDE, paths=(MATMUL, LINEAR))
    known = known_as(found([WIDE]))
    result = investigator([plant], known)[0].investigate(failure(key(LINEAR), BUSY))
    assert result is known
    assert known.paths == {MATMUL}, "linking is the campaign's"


def test_a_path_that_fails_there_for_a_reason_that_is_known_gives_no_name() -> None:
    """The minimal Case of the second path lies where the first one fails too, for less."""
    odd = Plant("odd", lambda case: case.weight.in_features % 2 == 1)
    bytes_of_three = Plant("cast", lambda case: case.bias and case.weight.in_features >= 3, paths=(LINEAR,))
    known = known_as(found([odd]))
    result = investigator([odd, bytes_of_three], known)[0].investigate(failure(key(LINEAR), BUSY))
    assert isinstance(result, Investigation)
    assert result.reduction.case == Case(weight=Weight(in_features=3), bias=True)
    assert result.key == key(LINEAR)
    assert result.paths == {LINEAR}


@pytest.mark.parametrize(("arms", "name"), [((), MATMUL), (("gemv",), LINEAR), (("gemv", "simt"), MATMUL)])
def test_another_kernel_that_fails_alike_is_another_defect(arms: tuple[str, ...], name: str) -> None:
    first = dataclasses.replace(WIDE, arms=arms)
    second = dataclasses.replace(WIDE, paths=(LINEAR,), arms=("simt",))
    assert found([first, second], key(LINEAR)).key == key(name)


def test_what_fails_there_too_without_being_explained_is_another_defect() -> None:
    """On the second path it fails for less than what is known of the first."""
    known = known_as(found([WIDE]))
    wider = Plant("wider", lambda case: case.weight.in_features >= 100, paths=(LINEAR,))
    result = investigator([WIDE, wider], known)[0].investigate(failure(key(LINEAR), BUSY))
    assert isinstance(result, Investigation)
    assert result.key == key(LINEAR)
    assert result.reduction.case == Case(weight=Weight(in_features=100))


def test_a_reduction_stays_out_of_what_is_known() -> None:
    known = bug({"bias": True})
    plants = [Plant("known", lambda case: case.bias), Plant("other", lambda case: case.weight.in_features >= 50)]
    result = investigator(plants, known)[0].investigate(failure(key(), fields.replace(BUSY, "bias", value=False)))
    assert isinstance(result, Investigation)
    assert result.reduction.case == Case(weight=Weight(in_features=50))
    assert result.examined.triggers == {"weight.in_features": "large"}


def test_a_reduction_stays_where_nothing_else_fails_otherwise() -> None:
    """The smallest Case of the one would also show the other, and a script that it ends would show nothing else."""
    dies = Plant("dies", lambda case: case.weight.in_features < 64, symptom=Symptom.PROCESS_DIED)
    wrong = Plant("wrong", lambda case: case.bias)
    known = Bug(key(symptom=Symptom.PROCESS_DIED), Case(), {}, [parse("weight.in_features", "<= 63")], {MATMUL})
    result = investigator([dies, wrong], known)[0].investigate(failure(key(), BUSY))
    assert isinstance(result, Investigation)
    assert result.reduction.case == Case(weight=Weight(in_features=64), bias=True)


def parse(name: str, rule: str) -> Any:
    return bug({name: rule}).regions[0]


def test_a_second_region_of_a_defect_belongs_to_it() -> None:
    """Few rows of many columns, and many rows of few: one condition on their product."""
    product = Plant("product", lambda case: case.weight.elements >= 5000)
    first = found([product])
    searcher, _ = investigator([product], known := known_as(first))
    start = Case(weight=Weight(out_features=1000, in_features=6))
    assert not known.regions[0].holds(start)
    again = searcher.investigate(failure(key(), start))
    assert isinstance(again, Investigation)
    assert searcher.region_of(again) is known


@pytest.mark.parametrize(("first", "second"), [((0, 5), (5, 0)), ((5, 0), (0, 5))])
def test_a_weight_without_elements_is_one_defect_in_either_dimension(first: tuple[int, int], second: tuple[int, int]) -> None:
    def of(sizes: tuple[int, int]) -> Case:
        return Case(weight=Weight(out_features=sizes[0], in_features=sizes[1]))

    empty = Plant("empty", lambda case: not case.weight.elements)
    known = known_as(found([empty], case=of(first)))
    assert known.triggers == {"weight.in_features": "zero"}
    searcher, _ = investigator([empty], known)
    again = searcher.investigate(failure(key(), of(second)))
    assert again is known or (isinstance(again, Investigation) and searcher.region_of(again) is known)


def test_a_missing_check_is_one_defect_and_what_another_check_refuses_is_not_of_it() -> None:
    """`out` is taken whatever its shape, dtype or device; the length of an activation is another matter."""
    wrong_outs = next(family for family in ALIKE if Misuse.DEEP_OUT in family)
    unchecked = Plant("out", lambda case: case.execution.misuse in wrong_outs and case.execution.misuse is not Misuse.SHORT_OUT)
    lengths = Plant("lengths", lambda case: case.execution.misuse is Misuse.SHORT_ACTIVATION)
    names = set()
    for misuse in set(wrong_outs) - {Misuse.SHORT_OUT}:
        result = found([unchecked, lengths], case=fields.replace(BUSY, "execution.misuse", misuse))
        assert result.examined.condition.choices == {"execution.misuse": frozenset(wrong_outs) - {Misuse.SHORT_OUT}}
        names.add(known_as(result).signature)
    names.add(known_as(found([unchecked, lengths], case=fields.replace(BUSY, "execution.misuse", Misuse.SHORT_ACTIVATION))).signature)
    assert {name.rpartition("execution.misuse=")[2] for name in names} == {"deep_out", "short_activation"}


def test_a_defect_is_named_after_the_first_kind_of_failure_that_it_shows() -> None:
    """Small weights lose the context, larger ones are taken without a word: in either order it is one defect."""

    def turned(case: Case) -> bool:
        return case.weight.layout is Layout.IN_OUT

    lost = Plant("lost", lambda case: turned(case) and case.weight.in_features < 8, symptom=Symptom.CONTEXT_LOST)
    through = Plant("through", turned, symptom=Symptom.MISSING_ERROR)
    missing, gone = key(symptom=Symptom.MISSING_ERROR), key(symptom=Symptom.CONTEXT_LOST)
    small = Case(weight=Weight(layout=Layout.IN_OUT, in_features=3, out_features=5))
    result = found([lost, through], gone, small)
    assert (result.key, result.examined.triggers) == (missing, {"weight.layout": "in_out"})
    known = known_as(found([lost, through], missing, fields.replace(small, "weight.in_features", 70)))
    assert known.signature == known_as(result).signature
    assert investigator([lost, through], known)[0].investigate(failure(gone, small)) is known


def test_where_reading_beyond_the_memory_is_fatal_is_no_rule_about_sizes() -> None:
    """What lies behind the packed weight differs between runs; where the path is right for a size, that is a rule."""

    def turned(case: Case) -> bool:
        return case.weight.layout is Layout.IN_OUT

    through = Plant("through", turned, symptom=Symptom.MISSING_ERROR)
    lost = Plant("lost", lambda case: turned(case) and case.weight.in_features % 128 == 0, symptom=Symptom.CONTEXT_LOST)
    start = Case(weight=Weight(layout=Layout.IN_OUT, in_features=160, out_features=3))
    names = set()
    for planted in ([through], [lost, through]):
        result = found(planted, key(symptom=Symptom.MISSING_ERROR), start)
        assert result.examined.triggers == {"weight.layout": "in_out"}
        names.add(known_as(result).signature)
    assert len(names) == 1


def dispatched(case: Case) -> tuple[str, ...]:
    """One row of whole blocks goes to gemv."""
    return ("gemv",) if case.activation.rows == 1 and case.weight.in_features % 64 == 0 else ("linear",)


def in_linear(case: Case) -> bool:
    return "linear" in dispatched(case)


def test_what_one_choice_does_wherever_one_kernel_runs_is_one_defect() -> None:
    """Several rows, or a row that is no whole number of blocks: the dispatch rule says "or"."""
    taken = Plant("taken", both(in_linear, lambda case: case.bias), (MATMUL,))
    known = known_as(found([taken], dispatch=dispatched))
    assert known.kernels is not None
    assert known.kernels.arms == {"linear"}
    searcher, executor = investigator([taken], known)
    executor.dispatch = dispatched
    several = fields.replace(fields.replace(BUSY, fields.ROWS, 3), "weight.in_features", 256)
    assert not known.regions[0].holds(several)
    assert searcher.investigate(failure(key(), several)) is known


def test_what_fails_wherever_one_kernel_runs_is_one_defect() -> None:
    """Nothing can be taken back but the sizes that make the kernel run."""
    always = Plant("always", in_linear, (MATMUL,))
    known = known_as(found([always], dispatch=dispatched))
    searcher, executor = investigator([always], known)
    executor.dispatch = dispatched
    several = fields.replace(fields.replace(BUSY, fields.ROWS, 3), "weight.in_features", 256)
    again = searcher.investigate(failure(key(), several))
    assert isinstance(again, Investigation)
    assert known_as(again).signature != known.signature
    assert searcher.region_of(again) is known


def test_another_defect_of_a_kernel_with_the_same_choice_is_not_taken_for_one_that_is_known() -> None:
    """It fails without the choice, too."""
    taken = Plant("taken", both(in_linear, lambda case: case.bias), (MATMUL,))
    rows = Plant("rows", lambda case: case.activation.rows >= 3, (MATMUL,))
    known = known_as(found([taken], dispatch=dispatched))
    searcher, executor = investigator([taken, rows], known)
    executor.dispatch = dispatched
    again = searcher.investigate(failure(key(), fields.replace(fields.replace(BUSY, fields.ROWS, 3), "weight.in_features", 256)))
    assert isinstance(again, Investigation)
    assert again.reduction.case == fields.replace(Case(), fields.ROWS, 3)


def test_a_value_with_which_the_path_fails_otherwise_does_not_keep_that_failure_from_its_minimum() -> None:
    """A packed weight at an odd address loses the context, and one with strides gives other numbers."""
    few = Plant("strided", both(lambda case: case.memory.packed is Memory.STRIDED, lambda case: case.activation.rows <= 4))
    lost = Plant("offset", lambda case: case.memory.packed is Memory.OFFSET, symptom=Symptom.CONTEXT_LOST)
    known = known_as(found([few, lost], case=fields.replace(BUSY, "memory.packed", Memory.STRIDED)))
    assert known.regions[0].otherwise == {"memory.packed": {Memory.OFFSET}}
    wide = fields.replace(fields.replace(BUSY, "memory.packed", Memory.OFFSET), fields.ROWS, 9)
    again = investigator([few, lost], known)[0].investigate(failure(key(symptom=Symptom.CONTEXT_LOST), wide))
    assert isinstance(again, Investigation)
    assert again.reduction.case == fields.replace(Case(), "memory.packed", Memory.OFFSET)


def test_two_defects_of_one_kernel_stay_two() -> None:
    """There the sizes do not say which kernel runs: odd ones fail in it, and even ones pass."""
    plants = [Plant("odd", lambda case: case.weight.in_features % 2 == 1), Plant("rows", lambda case: case.activation.rows >= 3)]
    known = known_as(found(plants[:1], case=BUSY))
    searcher, executor = investigator(plants, known)
    executor.dispatch = lambda _: ("simt",)
    several = fields.replace(fields.replace(BUSY, fields.ROWS, 7), "weight.in_features", 128)
    again = searcher.investigate(failure(key(), several))
    assert isinstance(again, Investigation)
    assert searcher.region_of(again) is None


@pytest.mark.parametrize("seen", [LINEAR, MATMUL])
def test_a_defect_of_paths_that_take_other_views_is_named_after_the_first_too(seen: str) -> None:
    plant = dataclasses.replace(WIDE, paths=(MATMUL, LINEAR))
    searcher, executor = investigator([plant])
    executor.views = {MATMUL: PackedView.TRANSPOSED, LINEAR: PackedView.RETURNED}
    result = searcher.investigate(failure(key(seen), fields.replace(BUSY, "packed", executor.views[seen])))
    assert isinstance(result, Investigation)
    assert result.key == key(MATMUL)
    assert result.paths == {MATMUL, LINEAR}


def test_other_values_of_the_same_fields_are_another_defect_where_no_way_leads_from_one_to_the_other() -> None:
    def alike(storage: StorageDType, dtype: FloatDType) -> Plant:
        return Plant("one", lambda case: case.quantization.storage is storage and case.weight.dtype is dtype)

    plants = [alike(StorageDType.FLOAT16, FloatDType.FLOAT16), alike(StorageDType.FLOAT32, FloatDType.BFLOAT16)]
    one = Case(quantization=Quantization(storage=StorageDType.FLOAT16), weight=Weight(dtype=FloatDType.FLOAT16))
    other = Case(quantization=Quantization(storage=StorageDType.FLOAT32), weight=Weight(dtype=FloatDType.BFLOAT16))
    known = known_as(found(plants, case=one))
    searcher, _ = investigator(plants, known)
    result = searcher.investigate(failure(key(), other))
    assert isinstance(result, Investigation)
    assert searcher.region_of(result) is None
    assert known_as(result).signature != known.signature


def test_other_values_of_the_same_fields_belong_to_a_row_from_which_a_way_leads_there() -> None:
    """A signature has one value of each field, and the defect may have several."""
    several = Plant("several", lambda case: case.quantization.blocksize >= 512)
    known = bug({"quantization.blocksize": 512})
    searcher, _ = investigator([several], known)
    result = searcher.investigate(failure(key(), Case(quantization=Quantization(blocksize=2048))))
    assert isinstance(result, Investigation)
    assert result.examined.triggers == {"quantization.blocksize": 1024}
    assert searcher.region_of(result) is known


def test_what_needs_other_fields_is_no_region() -> None:
    searcher, _ = investigator([WIDE], bug({"execution.grad": True}))
    result = searcher.investigate(failure(key(), BUSY))
    assert isinstance(result, Investigation)
    assert searcher.region_of(result) is None


def test_a_row_is_known_like_a_defect() -> None:
    plant = dataclasses.replace(WIDE, paths=(MATMUL, LINEAR))
    executor, suspects = PlantedExecutor([plant]), Suspects([pattern({"bias": True}, key())])
    searcher = Investigator(lambda case, of: executor.run(case, selection(of)), suspects)
    assert searcher.investigate(failure(key(LINEAR), BUSY)) is suspects.rows[0]


@dataclasses.dataclass
class Impatient:
    """Trials until time is up."""

    executor: PlantedExecutor
    left: float

    def __call__(self, case: Case, of: FailureKey) -> CaseResult:
        if self.left <= 0:
            raise OutOfTime
        self.left -= 1
        return self.executor.run(case, selection(of))


@pytest.mark.parametrize("paths", [(MATMUL,), (MATMUL, LINEAR)])
@pytest.mark.parametrize("seen", [MATMUL, LINEAR])
def test_out_of_time_the_failure_is_returned_as_far_as_it_was_reduced(paths: tuple[str, ...], seen: str) -> None:
    """Whenever time is up, what comes back fails in the same way, and no name is given to what is not minimal."""
    plant = dataclasses.replace(WIDE, paths=(*paths, seen))
    whole = found([plant], key(seen))
    first = failure(key(seen), BUSY)
    for trials in itertools.count():
        trial = Impatient(PlantedExecutor([plant]), trials)
        result = Investigator(trial, Suspects()).investigate(first)
        if isinstance(result, Investigation):
            assert result == whole
            break
        assert isinstance(result, Failure)
        assert result.key == first.key
        assert result.drawn == BUSY
        assert plant.condition(result.case)
    assert trials > 50


def test_what_was_tried_is_not_tried_again_when_an_investigation_is_taken_up() -> None:
    trial = Impatient(PlantedExecutor([WIDE]), 0)
    searcher = Investigator(trial, Suspects())
    state: Any = failure(key(), BUSY)
    while not isinstance(state, Investigation):
        trial.left = 7
        state = searcher.investigate(state)
    assert state.reduction.case == Case(weight=Weight(in_features=100), bias=True)
    tried = [case for case, _ in searcher._seen]
    assert tried == [], "and it is forgotten at the end: the next defect may depend on something else"
    assert trial.executor.runs < 250


def test_a_layout_that_the_path_needs_the_other_view_for() -> None:
    """The packed weight's view goes with the layout; neither of both alone says anything."""

    def trial(case: Case, of: FailureKey) -> CaseResult:
        turned = case.weight.layout is Layout.IN_OUT
        if turned is not (case.packed is fields.CHOICES["packed"][1]):
            return CaseResult(())
        symptom = of.symptom if turned and of.path == GEMV else None
        verdict = PathVerdict(path=of.path, surface=of.surface, ruling=Ruling.VALID, source="a test", symptom=symptom)
        return CaseResult((verdict,))

    start = Case(weight=Weight(layout=Layout.IN_OUT, in_features=5), packed=fields.CHOICES["packed"][1])
    result = Investigator(trial, Suspects()).investigate(failure(key(GEMV), start))
    assert isinstance(result, Investigation)
    assert result.examined.triggers == {"weight.layout": "in_out"}
