"""The judge on planted faults: right results pass, faults of every kind are found, and searches count Cases."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from fuzz.commands.selfcheck import EMULATED_DEVICE, EMULATED_RELEASE
from fuzz.engine.calls import Prepared
from fuzz.engine.verdict import Grade, Symptom
from fuzz.oracle.arms import Arm
from fuzz.oracle.calibration import find
from fuzz.selfcheck import search
from fuzz.selfcheck.check import MOST_CASES, Checker, Planted, Seen, applies, correct, planted
from fuzz.selfcheck.fault import PRODUCT_ARMS, Fault, Step
from fuzz.selfcheck.search import FalseAlarm, Searches
from fuzz.selfcheck.subject import emulated, operands_of, path_of, real
from strategies.case import Activation, Case, Fill, FloatDType, Quantization, Relation, Weight
from tests.fuzz.engine.helpers import library
from tests.fuzz.engine.subjects import EMULATED, prepared_of, related_case

pytest.importorskip("bitsandbytes")

BY_NAME = {item.name: item for item in planted()}
JUDGED = dataclasses.replace(library(version=EMULATED_RELEASE), device_name=EMULATED_DEVICE)


def anyhow(item: Planted, case: Case) -> Case:  # noqa: ARG001 - one signature
    return case


@pytest.fixture(scope="module")
def searches() -> Searches:
    return Searches(Checker(JUDGED, emulated), (0,), small=True, reaches=anyhow)


def test_the_calibration_that_is_relied_on_is_committed() -> None:
    assert find(EMULATED_DEVICE, EMULATED_RELEASE) is not None


def test_right_results_are_not_flagged(searches: Searches) -> None:
    results = list(searches.false_alarms(20))
    assert [result for result in results if result is not None] == []
    assert len(results) > 60


def test_every_step_and_kernel_is_shown_without_a_fault() -> None:
    items = list(correct())
    assert [(item.fault.step, item.arm) for item in items] == [
        (Step.QUANTIZE, Arm.DEQUANTIZE),
        (Step.DEQUANTIZE, Arm.DEQUANTIZE),
        *((Step.PRODUCT, arm) for arm in PRODUCT_ARMS),
    ]
    assert {(item.fault.corrupt, item.fault.kernel, item.fault.spoil) for item in items} == {(None, None, None)}


FOUND = {
    "quantize: low nibble first": Symptom.WRONG_VALUE,
    "quantize: packed weight one byte too short": Symptom.WRONG_SHAPE,
    "quantize: scale rounded to bfloat16": Symptom.WRONG_VALUE,
    "quantize: nested: offset stored as zero": Symptom.WRONG_VALUE,
    "quantize: thresholds between codes 1 % too high": Symptom.WRONG_VALUE,
    "dequantize: scale index off by one": Symptom.WRONG_VALUE,
    "dequantize: last element not written": Symptom.WRONG_VALUE,
    "dequantize: output truncated instead of rounded": Symptom.WRONG_VALUE,
    "product simt: one term dropped": Symptom.WRONG_VALUE,
    "product simt: one element written past the end": Symptom.OUT_OF_BOUNDS,
    "product gemv: lowest bit of one code flipped": Symptom.WRONG_VALUE,
    "product gemv: one output not written": Symptom.WRONG_VALUE,
    "product tensor_core: bias forgotten": Symptom.WRONG_VALUE,
    "product tensor_core: two rows swapped": Symptom.WRONG_VALUE,
    "product tensor_core: weights truncated instead of rounded": Symptom.WRONG_VALUE,
    "product linear: nested: offset forgotten": Symptom.WRONG_VALUE,
    "product linear: inputs in TF32": Symptom.WRONG_VALUE,
    "product simt: last bit of one output": Symptom.WRONG_VALUE,
}
"""A handful of faults of each kind, and the symptom that each shows."""


@pytest.mark.parametrize("name", FOUND)
def test_a_planted_fault_is_found(searches: Searches, name: str) -> None:
    seen = searches.find(BY_NAME[name])
    assert seen.found
    assert seen.planted is BY_NAME[name]
    assert seen.verdict is not None
    assert seen.verdict.symptom is FOUND[name]
    assert (seen.verdict.grade is not None) is (FOUND[name] is Symptom.WRONG_VALUE)


def _one_ulp_more(result: torch.Tensor, prepared: Prepared, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    return torch.nextafter(result, torch.full_like(result, torch.inf))


@pytest.mark.parametrize("arm", [Arm.SIMT, Arm.GEMV, Arm.TENSOR_CORE])
def test_a_last_bit_is_seen_by_the_calibration_and_not_without_one(arm: Arm) -> None:
    fault = Fault(name="last bits", step=Step.PRODUCT, arms=(arm,), spoil=_one_ulp_more)
    case = related_case(Relation.NONE, outputs=8, leading=(1,), dtype=FloatDType.BFLOAT16)
    case = dataclasses.replace(case, activation=dataclasses.replace(case.activation, fill=Fill.NORMAL))
    grades = []
    for judged in (JUDGED, library()):
        checker = Checker(judged, emulated)
        grades.append(checker.judge(Planted(fault, arm), *checker.prepare(case), torch.Generator()).grade)
    assert grades[0] in {Grade.BITS, Grade.DRIFT}
    assert grades[1] is None


@pytest.mark.parametrize(
    ("counts", "median"),
    [
        ((5,), 5),
        ((None,), float("inf")),
        ((9, 1, 4), 4),
        ((None, 1, 4), 4),
        ((None, None, 4), float("inf")),
        ((1, 4), 2.5),
        ((1, None), float("inf")),
        ((4, 2, 8, 6), 5),
        ((None, None, 1, 2), float("inf")),
    ],
)
def test_the_median_of_searches_counts_one_that_did_not_see_the_fault_as_infinite(counts: tuple[int | None, ...], median: float) -> None:
    assert Seen(planted()[0], counts, None).median == median


@pytest.mark.parametrize(
    ("counts", "found"),
    [((1,), True), ((MOST_CASES,), True), ((None,), False), ((MOST_CASES, None, 1), True), ((None, None, 1), False), ((3, None), False)],
)
def test_a_fault_is_found_if_it_is_seen_at_the_median(counts: tuple[int | None, ...], found: bool) -> None:  # noqa: FBT001
    assert Seen(planted()[0], counts, None).found is found


def sized(*, terms: int = 128, rows: tuple[int, ...] = (3,), dtype: FloatDType = FloatDType.FLOAT16) -> Case:
    return Case(
        weight=Weight(out_features=4, in_features=terms, dtype=dtype, fill=Fill.NORMAL),
        quantization=Quantization(blocksize=64),
        activation=Activation(leading=rows, fill=Fill.NORMAL),
    )


@pytest.mark.parametrize(
    ("case", "arms"),
    [
        (sized(), {Arm.SIMT, Arm.TENSOR_CORE, Arm.LINEAR}),
        (sized(rows=()), {Arm.SIMT, Arm.GEMV, Arm.TENSOR_CORE, Arm.LINEAR}),
        (sized(rows=(1, 1)), {Arm.SIMT, Arm.GEMV, Arm.TENSOR_CORE, Arm.LINEAR}),
        (sized(dtype=FloatDType.FLOAT32), {Arm.SIMT, Arm.LINEAR}),
        (sized(terms=100), {Arm.LINEAR}),
    ],
)
def test_a_product_is_given_to_the_kernels_that_take_it(case: Case, arms: set[Arm]) -> None:
    nothing = {item.arm: item for item in correct() if item.fault.step is Step.PRODUCT}
    assert {arm for arm, item in nothing.items() if applies(item, case)} == arms


@pytest.mark.parametrize("step", [Step.QUANTIZE, Step.DEQUANTIZE])
def test_weights_of_every_size_are_quantized_and_dequantized(step: Step) -> None:
    (item,) = (item for item in correct() if item.fault.step is step)
    assert applies(item, sized(terms=100, rows=(1,), dtype=FloatDType.FLOAT32))


@pytest.mark.parametrize("arm", PRODUCT_ARMS)
def test_a_fault_is_planted_only_where_it_can_show(arm: Arm) -> None:
    fault = Fault(name="f", step=Step.PRODUCT, arms=(arm,), applies=lambda case: case.bias)
    assert not applies(Planted(fault, arm), sized(rows=(1,)))
    assert applies(Planted(fault, arm), dataclasses.replace(sized(rows=(1,)), bias=True))


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches of a few Cases."""
    monkeypatch.setattr(search, "MOST_CASES", 20)


def never(item: Planted, case: Case) -> None:
    """No Case reaches any kernel."""


@pytest.mark.usefixtures("_few")
def test_a_kernel_that_no_case_reaches_is_not_judged() -> None:
    searches = Searches(Checker(JUDGED, emulated), (0, 1), small=True, reaches=never)
    seen = searches.find(BY_NAME["product simt: one term dropped"])
    assert (seen.cases, seen.verdict, seen.found) == ((None, None), None, False)
    assert list(searches.false_alarms(5)) == []


@pytest.mark.usefixtures("_few")
def test_the_cases_of_a_search_are_counted_from_one() -> None:
    always = Fault(name="always", step=Step.DEQUANTIZE, kernel=lambda arm, prepared: emulated(arm, prepared).double())
    seen = Searches(Checker(JUDGED, emulated), (0, 1, 2), small=True, reaches=anyhow).find(Planted(always, Arm.DEQUANTIZE))
    assert seen.cases == (1, 1, 1)
    assert seen.verdict is not None
    assert seen.verdict.symptom is Symptom.WRONG_DTYPE


@pytest.mark.usefixtures("_few")
def test_a_wrong_kernel_is_a_false_alarm_where_nothing_is_planted() -> None:
    def wrong(arm: Arm, prepared: Prepared) -> torch.Tensor:
        result = emulated(arm, prepared)
        return result.double() if arm is Arm.LINEAR else result

    results = list(Searches(Checker(JUDGED, wrong), (0,), small=True, reaches=anyhow).false_alarms(3))
    alarms = [result for result in results if result is not None]
    assert len(alarms) == 3
    assert all(isinstance(alarm, FalseAlarm) and alarm.planted.arm is Arm.LINEAR for alarm in alarms)
    assert {alarm.verdict.symptom for alarm in alarms} == {Symptom.WRONG_DTYPE}


OVERFLOWING = Case(
    weight=Weight(out_features=4, in_features=64, fill=Fill.HUGE, dtype=FloatDType.FLOAT32),
    activation=Activation(leading=(1,), dtype=FloatDType.FLOAT16, fill=Fill.CANCELLING),
)
"""Its products leave the range of float16 although their sums do not."""


def test_the_range_that_a_right_kernel_leaves_is_neither_an_alarm_nor_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "drawn", lambda seed, count, small: [OVERFLOWING] * count)  # noqa: ARG005
    monkeypatch.setattr(search, "MOST_CASES", 2)
    checker = Checker(JUDGED, emulated)
    right = next(item for item in correct() if item.arm is Arm.SIMT)
    verdict = checker.judge(right, *checker.prepare(OVERFLOWING), torch.Generator())
    assert verdict is not None
    assert verdict.symptom is Symptom.RANGE_DIVERGENCE
    searches = Searches(checker, (0,), small=True, reaches=anyhow)
    assert set(searches.false_alarms(1)) == {None}
    changes_nothing = Fault(name="nothing new", step=Step.PRODUCT, spoil=lambda result, prepared, generator: result)  # noqa: ARG005
    assert searches.find(Planted(changes_nothing, Arm.SIMT)).cases == (None,)


@pytest.mark.usefixtures("_few")
def test_equal_searches_find_a_fault_after_equally_many_cases() -> None:
    item = BY_NAME["dequantize: last element not written"]
    first, second = (Searches(Checker(JUDGED, emulated), (4,), small=True, reaches=anyhow).find(item) for _ in range(2))
    assert first == second
    assert first.found


@pytest.mark.parametrize(
    ("arm", "name"),
    [
        (Arm.SIMT, "matmul_4bit"),
        (Arm.TENSOR_CORE, "matmul_4bit"),
        (Arm.GEMV, "gemv_4bit"),
        (Arm.LINEAR, "dequantize_linear"),
        (Arm.DEQUANTIZE, "dequantize_4bit"),
    ],
)
def test_the_path_that_a_kernel_is_judged_as(arm: Arm, name: str) -> None:
    assert path_of(arm).name == name


@pytest.mark.parametrize("arm", EMULATED)
@pytest.mark.parametrize("leading", [(), (1,), (1, 1)])
def test_an_emulated_kernel_returns_what_the_path_documents(arm: Arm, leading: tuple[int, ...]) -> None:
    case = dataclasses.replace(related_case(Relation.NONE, leading=leading), bias=arm is not Arm.GEMV)
    result = emulated(arm, prepared_of(case))
    assert tuple(result.shape) == ((6, 128) if arm is Arm.DEQUANTIZE else (*leading, 6))
    assert result.dtype is torch.float16


@pytest.mark.parametrize("arm", [Arm.LINEAR, Arm.DEQUANTIZE])
@pytest.mark.parametrize("dtype", FloatDType)
@pytest.mark.parametrize("compressed", [False, True])
def test_what_the_cpu_can_run_is_emulated_bit_for_bit(arm: Arm, dtype: FloatDType, compressed: bool) -> None:  # noqa: FBT001
    quantization = Quantization(compress_statistics=compressed)
    prepared = prepared_of(related_case(Relation.NONE, dtype=dtype, bias=True, quantization=quantization))
    assert torch.equal(emulated(arm, prepared), real(arm, prepared))


def test_a_kernel_is_given_the_operands_of_its_path() -> None:
    prepared = prepared_of(related_case(Relation.NONE, leading=(1,), bias=True))
    assert operands_of(Arm.SIMT, prepared).bias is not None
    assert operands_of(Arm.GEMV, prepared).bias is None
    assert operands_of(Arm.SIMT, prepared).activation.shape == (1, 128)
    assert operands_of(Arm.SIMT, prepared).code.shape == (6, 128)
