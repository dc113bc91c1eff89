"""One verdict for every way a path can end, from inputs made by hand."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
import torch

from fuzz.engine.contract import Row
from fuzz.engine.judge import (
    MESSAGE_LENGTH,
    Finished,
    Question,
    expected_dtype,
    expected_shape,
    is_device_error,
    judge,
    judge_error,
    product_of_weight,
)
from fuzz.engine.paths import BY_NAME
from fuzz.engine.verdict import PathVerdict, Ruling, Symptom
from fuzz.oracle.bounds import interval
from fuzz.oracle.reference import Product, multiply
from strategies.case import Activation, Case, FloatDType, Layout, PackedView, Weight
from tests.fuzz.engine.helpers import FUSED, quantized

CASE = Case(weight=Weight(out_features=4, in_features=3, dtype=FloatDType.FLOAT16), activation=Activation(leading=(2,)))
WEIGHT = quantized(torch.tensor([[15, 0, 3], [1, 2, 4], [7, 15, 9], [12, 13, 14]]), torch.tensor([1.5]), 64).decoded
X = torch.tensor([[1.0, -2.0, 0.5], [3.0, 1.0, 1.0]]).half()
PRODUCT = multiply(X, WEIGHT, None)
RIGHT = PRODUCT.value.half()


def question(ruling: Ruling = Ruling.VALID, path: str = "matmul_4bit", case: Case = CASE) -> Question:
    return Question(case, BY_NAME[path], FUSED, Row(ruling=ruling, source="a document", when=lambda *_: True))


def verdict_on(result: torch.Tensor, ruling: Ruling = Ruling.VALID, product: Product = PRODUCT) -> PathVerdict:
    return judge(question(ruling), Finished(result, None), product)


def changed(value: float) -> torch.Tensor:
    result = RIGHT.clone()
    result[1, 2] = value
    return result


@pytest.mark.parametrize("ruling", [Ruling.VALID, Ruling.UNSPECIFIED])
def test_a_right_result(ruling: Ruling) -> None:
    verdict = verdict_on(RIGHT, ruling)
    assert verdict.symptom is None
    assert verdict.ruling is ruling
    assert verdict.source == "a document"
    assert (verdict.path, verdict.surface) == ("matmul_4bit", "functional.matmul_4bit")
    assert verdict.arms == ("simt", "dense")
    assert verdict.model is not None
    assert verdict.error_over_bound is not None
    assert 0 <= verdict.error_over_bound < 1


@pytest.mark.parametrize("ruling", [Ruling.VALID, Ruling.UNSPECIFIED])
def test_a_wrong_value_names_the_place_and_both_numbers(ruling: Ruling) -> None:
    verdict = verdict_on(changed(40.0), ruling)
    assert verdict.symptom is Symptom.WRONG_VALUE
    assert verdict.how == ""
    assert "(1, 2)" in verdict.expected
    assert verdict.got.startswith("40 at (1, 2)")
    assert "1 of 8" in verdict.got
    assert verdict.error_over_bound is not None
    assert verdict.error_over_bound > 100
    assert verdict.model is not None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_where_it_has_to_be_is_wrong_and_fits_into_json(value: float) -> None:
    verdict = verdict_on(changed(value))
    assert verdict.symptom is Symptom.WRONG_VALUE
    assert str(value) in verdict.got
    assert verdict.error_over_bound is None
    assert PathVerdict.from_json(json.loads(json.dumps(verdict.to_json(), allow_nan=False))) == verdict


def test_all_nan_is_wrong() -> None:
    verdict = verdict_on(torch.full_like(RIGHT, math.nan))
    assert verdict.symptom is Symptom.WRONG_VALUE
    assert "8 of 8" in verdict.got


def test_one_unit_in_the_last_place_beside_the_interval_is_wrong() -> None:
    model = verdict_on(RIGHT).model
    assert model is not None
    high = interval(PRODUCT, model, torch.float16).high
    assert verdict_on(high).symptom is None
    beyond = torch.nextafter(high, torch.full_like(high, math.inf))
    verdict = verdict_on(beyond)
    assert verdict.symptom is Symptom.WRONG_VALUE
    assert "8 of 8" in verdict.got


def test_where_overflow_is_legitimate_infinity_is_right_and_a_wrong_number_is_not() -> None:
    weight = quantized(torch.full((4, 3), 15), torch.tensor([30000.0]), 64).decoded
    product = multiply(torch.tensor([[2.0, -1.0, -1.0]] * 2).half(), weight, None)
    for value in (math.inf, math.nan, 0.0):
        verdict = verdict_on(torch.full((2, 4), value).half(), product=product)
        assert verdict.symptom is None
        json.dumps(verdict.to_json(), allow_nan=False)
    assert verdict_on(torch.full((2, 4), 20000.0).half(), product=product).symptom is Symptom.WRONG_VALUE


def test_minus_zero_is_zero() -> None:
    product = multiply(torch.zeros(2, 3).half(), WEIGHT, None)
    assert verdict_on(torch.full((2, 4), -0.0).half(), product=product).symptom is None


def test_a_wrong_shape() -> None:
    for shape in [(2, 3), (4, 2), (8,), (1, 2, 4), (0, 4), ()]:
        verdict = verdict_on(torch.zeros(shape).half())
        assert verdict.symptom is Symptom.WRONG_SHAPE
        assert verdict.expected == "shape (2, 4)"
        assert verdict.got == f"shape {shape}"


def test_a_wrong_shape_comes_before_a_wrong_dtype() -> None:
    assert verdict_on(torch.zeros(2, 3)).symptom is Symptom.WRONG_SHAPE


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64, torch.uint8])
def test_a_wrong_dtype(dtype: torch.dtype) -> None:
    verdict = verdict_on(RIGHT.to(dtype))
    assert verdict.symptom is Symptom.WRONG_DTYPE
    assert verdict.how == str(dtype)
    assert (verdict.expected, verdict.got) == ("torch.float16", str(dtype))


@pytest.mark.parametrize("result", [RIGHT, torch.zeros(9), torch.full((2, 4), math.nan)])
def test_an_invalid_case_that_returns_anything_lacks_an_error(result: torch.Tensor) -> None:
    verdict = verdict_on(result, Ruling.INVALID)
    assert verdict.symptom is Symptom.MISSING_ERROR
    assert verdict.got == f"a tensor of shape {tuple(result.shape)}"


@pytest.mark.parametrize("error", [ValueError("no"), RuntimeError(""), AssertionError(), NotImplementedError("x\ny")])
@pytest.mark.parametrize("ruling", Ruling)
def test_an_exception_is_wrong_for_a_valid_case_only(error: Exception, ruling: Ruling) -> None:
    verdict = judge(question(ruling), Finished(None, error), PRODUCT)
    if ruling is Ruling.VALID:
        assert verdict.symptom is Symptom.UNEXPECTED_EXCEPTION
        assert verdict.how == type(error).__name__
    else:
        assert verdict.symptom is None
    assert verdict.got.startswith(type(error).__name__ + ": ")


@pytest.mark.parametrize("ruling", Ruling)
@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: an illegal memory access was encountered",
        "CUDA error: misaligned address\nCUDA kernel errors might be asynchronously reported",
        "CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx`",
        "cuBLAS: CUBLAS_STATUS_INTERNAL_ERROR",
        "Error invalid configuration argument at line 380: cudaErrorInvalidConfiguration",
    ],
)
def test_a_cuda_error_is_a_lost_context_whatever_the_contract_says(message: str, ruling: Ruling) -> None:
    verdict = judge_error(question(ruling), RuntimeError(message))
    assert verdict.symptom is Symptom.CONTEXT_LOST
    assert verdict.how == message.splitlines()[0]
    assert verdict.got == message


@pytest.mark.parametrize("ruling", Ruling)
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        torch.OutOfMemoryError("CUDA error: out of memory"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_out_of_memory_is_never_a_finding(error: Exception, ruling: Ruling) -> None:
    assert judge_error(question(ruling), error).symptom is None
    assert not is_device_error(error)


@pytest.mark.parametrize(
    "message", ["", "expected CUDA tensors", "CUBLAS_STATUS_NOT_SUPPORTED", "mat1 and mat2 shapes cannot be multiplied"]
)
def test_other_messages_are_no_cuda_errors(message: str) -> None:
    assert not is_device_error(RuntimeError(message))


def test_a_long_message_is_cut() -> None:
    verdict = judge_error(question(), ValueError("x" * 10_000))
    assert len(verdict.got) == MESSAGE_LENGTH + len("ValueError: ")


def test_nothing_at_all_is_a_mistake_of_the_harness() -> None:
    with pytest.raises(ValueError, match="raised nothing has a result"):
        judge(question(), Finished(None, None), PRODUCT)


def test_a_reference_of_another_shape_is_a_mistake_of_the_harness() -> None:
    with pytest.raises(ValueError, match="the reference has shape"):
        verdict_on(RIGHT, product=multiply(X[:1], WEIGHT, None))


def test_a_bias_is_part_of_what_is_expected() -> None:
    bias = torch.tensor([100.0, -100.0, 0.0, 50.0]).half()
    product = multiply(X, WEIGHT, bias)
    assert verdict_on((PRODUCT.value + bias).half(), product=product).symptom is None
    assert verdict_on(RIGHT, product=product).symptom is Symptom.WRONG_VALUE


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("packed", PackedView)
def test_the_weight_is_expected_in_the_view_that_the_case_asks_for(layout: Layout, packed: PackedView) -> None:
    case = dataclasses.replace(CASE, packed=packed, weight=dataclasses.replace(CASE.weight, layout=layout))
    asked = question(path="dequantize_4bit", case=case)
    turned = (layout is Layout.IN_OUT) != (packed is PackedView.TRANSPOSED)
    assert expected_shape(asked) == ((3, 4) if turned else (4, 3))
    result = WEIGHT.weight.t() if turned else WEIGHT.weight
    verdict = judge(asked, Finished(result.half(), None), product_of_weight(case, WEIGHT))
    assert verdict.symptom is None
    assert verdict.arms == ()
    wrong = result.half()
    wrong[0, 1] += 0.01
    assert judge(asked, Finished(wrong, None), product_of_weight(case, WEIGHT)).symptom is Symptom.WRONG_VALUE


def test_expected_shapes_and_dtypes() -> None:
    case = dataclasses.replace(CASE, activation=Activation(leading=(2, 5), dtype=FloatDType.BFLOAT16))
    assert expected_shape(question(case=case)) == (2, 5, 4)
    assert expected_dtype(question(case=case)) == torch.bfloat16
    assert expected_dtype(question(path="dequantize_4bit", case=case)) == torch.float16


def test_a_result_on_the_same_storage_is_not_changed() -> None:
    result = changed(40.0)
    before = result.clone()
    verdict_on(result)
    assert torch.equal(result, before)
