"""The Cases that faults are shown in: those of the fuzzer, in a form that every kernel takes."""

from __future__ import annotations

import pytest

from fuzz.engine.dispatch import fused_arm
from fuzz.oracle.arms import Arm
from fuzz.selfcheck.draw import EMULATED_TERMS, MOST_ROWS, drawn, wide
from strategies import fields
from strategies.case import Case, Execution, Fill, FloatDType, Layout, PackedView, QuantType, StorageDType
from tests.fuzz.engine.helpers import H200


@pytest.fixture(scope="module", params=[False, True], ids=["as drawn", "small"])
def cases(request: pytest.FixtureRequest) -> list[Case]:
    return drawn(7, 300, small=request.param)


def test_as_many_cases_are_drawn_as_are_asked_for_and_the_same_each_time() -> None:
    assert drawn(3, 20, small=True) == drawn(3, 20, small=True)
    assert len(drawn(3, 20, small=True)) == 20
    assert drawn(3, 20, small=True)[:7] == drawn(3, 7, small=True)
    assert drawn(3, 20, small=True) != drawn(4, 20, small=True)


def test_every_kernel_takes_their_layout(cases: list[Case]) -> None:
    assert {case.weight.layout for case in cases} == {Layout.OUT_IN}
    assert {case.quantization.storage for case in cases} == {StorageDType.UINT8}
    assert {case.packed for case in cases} == {PackedView.RETURNED}
    assert {case.execution for case in cases} == {Execution()}


def test_there_is_something_in_them_that_can_be_wrong(cases: list[Case]) -> None:
    assert not any(case.is_empty for case in cases)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("weight.fill", set(Fill)),
        ("activation.fill", set(Fill)),
        ("weight.dtype", set(FloatDType)),
        ("quantization.quant_type", set(QuantType)),
        ("quantization.compress_statistics", {False, True}),
        ("bias", {False, True}),
    ],
)
def test_everything_else_is_drawn(cases: list[Case], name: str, values: set[object]) -> None:
    assert {fields.get(case, name) for case in cases} == values


def test_small_cases_can_be_emulated_on_a_cpu() -> None:
    for case in drawn(7, 300, small=True):
        rows, terms = case.activation.rows, case.weight.in_features
        assert rows <= MOST_ROWS
        assert rows * terms * case.weight.out_features <= max(EMULATED_TERMS, rows * terms)


def test_cases_that_are_not_cut_keep_their_rows() -> None:
    assert max(case.activation.rows for case in drawn(7, 300, small=False)) > 32


def test_a_wide_case_takes_the_tensor_cores_of_an_h200(cases: list[Case]) -> None:
    halves = [case for case in cases if case.activation_dtype is not FloatDType.FLOAT32]
    assert len(halves) > 50
    assert {fused_arm(wide(case), H200) for case in halves} == {Arm.TENSOR_CORE}


def test_a_wide_case_is_even_and_aligned_and_otherwise_alike(cases: list[Case]) -> None:
    for case in cases:
        widened = wide(case)
        assert widened.weight.out_features % 2 == 0
        assert widened.weight.in_features % widened.quantization.blocksize == 0
        for name in ("weight.fill", "weight.dtype", "activation.fill", "activation.dtype", "bias", "seed", "quantization.quant_type"):
            assert fields.get(widened, name) == fields.get(case, name)
