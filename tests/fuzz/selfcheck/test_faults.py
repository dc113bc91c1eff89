"""The planted faults: named apart, in every step and kernel, and none of them touches what the judge sees."""

from __future__ import annotations

import collections

import pytest
import torch

from fuzz.engine.calls import Prepared
from fuzz.engine.guarded import OutOfBoundsError
from fuzz.oracle.arms import Arm
from fuzz.selfcheck import check, faults_arithmetic, faults_dequantize, faults_product, faults_quantize
from fuzz.selfcheck.check import FAULTS, Planted, applies, planted
from fuzz.selfcheck.draw import drawn
from fuzz.selfcheck.fault import PRODUCT_ARMS, Fault, Step
from fuzz.selfcheck.subject import emulated
from strategies.case import Case
from tests.fuzz.engine.subjects import prepared_of

pytest.importorskip("bitsandbytes")

IDS = [item.name for item in planted()]
SEEDS = (0, 2)
"""Two searches, of which one may miss a rare Case."""


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [case for seed in SEEDS for case in drawn(seed, 500, small=True)]


def test_no_two_planted_faults_have_one_name() -> None:
    counts = collections.Counter(IDS)
    assert [name for name, count in counts.items() if count > 1] == []


def test_there_are_many_faults_of_many_kinds() -> None:
    assert len({fault.name for fault in FAULTS}) >= 40
    assert len(planted()) >= 100


@pytest.mark.parametrize("step", Step)
def test_every_step_has_faults(step: Step) -> None:
    assert sum(fault.step is step for fault in FAULTS) >= 10


@pytest.mark.parametrize("arm", PRODUCT_ARMS)
@pytest.mark.parametrize("faults", [faults_product.READING, faults_product.WRITING, faults_arithmetic.FAULTS])
def test_every_product_kernel_has_faults_in_what_it_reads_computes_and_writes(arm: Arm, faults: tuple[Fault, ...]) -> None:
    assert sum(arm in fault.arms for fault in faults) >= 5


@pytest.mark.parametrize("arm", PRODUCT_ARMS)
def test_every_product_kernel_is_judged_without_a_fault_too(arm: Arm) -> None:
    assert arm in {item.arm for item in check.correct()}


def test_the_first_two_steps_have_one_kernel() -> None:
    for fault in FAULTS:
        assert fault.arms == (Arm.DEQUANTIZE,) or fault.step is Step.PRODUCT
        assert set(fault.arms) <= set(PRODUCT_ARMS) or fault.step is not Step.PRODUCT
        assert len(set(fault.arms)) == len(fault.arms) > 0


@pytest.mark.parametrize(
    ("faults", "step"),
    [
        (faults_quantize.FAULTS, Step.QUANTIZE),
        (faults_dequantize.FAULTS, Step.DEQUANTIZE),
        (faults_product.READING, Step.PRODUCT),
        (faults_product.WRITING, Step.PRODUCT),
        (faults_arithmetic.FAULTS, Step.PRODUCT),
    ],
)
def test_all_faults_are_in_the_list(faults: tuple[Fault, ...], step: Step) -> None:
    assert {fault.step for fault in faults} == {step}
    assert set(faults) <= set(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.step.value}: {fault.name}")
def test_a_fault_is_in_one_place_and_says_which_in_a_line(fault: Fault) -> None:
    given = [part for part in (fault.corrupt, fault.kernel, fault.spoil) if part is not None]
    assert len(given) == 1
    assert fault.step is not Step.QUANTIZE or fault.corrupt is not None
    assert fault.name == " ".join(fault.name.split())
    assert len(fault.name) < 60


def first_case(item: Planted, cases: list[Case]) -> Case:
    return next(case for case in cases if applies(item, case))


def snapshot(prepared: Prepared) -> list[torch.Tensor]:
    state = prepared.state
    outer = [] if state.state2 is None else [state.state2.absmax, state.state2.code, state.offset]
    bias = [] if prepared.bias is None else [prepared.bias]
    tensors = [prepared.weight, prepared.activation, prepared.packed, state.absmax, state.code, *outer, *bias]
    return [tensor.clone() for tensor in tensors]


@pytest.mark.parametrize("item", planted(), ids=IDS)
def test_planting_leaves_the_tensors_that_are_judged_as_they_are(item: Planted, cases: list[Case]) -> None:
    prepared = prepared_of(first_case(item, cases))
    before, fault, generator = snapshot(prepared), item.fault, torch.Generator().manual_seed(3)
    result = None
    if fault.corrupt is not None:
        assert fault.corrupt(prepared, generator) is not prepared
    elif fault.kernel is not None:
        result = fault.kernel(item.arm, prepared)
    else:
        _spoilt(item, prepared, generator)
    after = snapshot(prepared)
    assert len(before) == len(after)
    assert all(torch.equal(old.nan_to_num(nan=7), new.nan_to_num(nan=7)) for old, new in zip(before, after, strict=True))
    if result is not None:
        right = emulated(item.arm, prepared)
        assert (result.shape, result.dtype) == (right.shape, right.dtype)


def _spoilt(item: Planted, prepared: Prepared, generator: torch.Generator) -> None:
    right = emulated(item.arm, prepared)
    kept = right.clone()
    assert item.fault.spoil is not None
    try:
        spoilt = item.fault.spoil(right, prepared, generator)
    except OutOfBoundsError:
        return
    assert (spoilt.shape, spoilt.dtype) == (kept.shape, kept.dtype)
    assert torch.equal(right.nan_to_num(nan=7), kept.nan_to_num(nan=7))


@pytest.mark.parametrize("item", planted(), ids=IDS)
def test_every_fault_can_show_in_a_case_that_is_drawn(item: Planted, cases: list[Case]) -> None:
    assert any(applies(item, case) for case in cases)
