"""Judged numbers: definite faults first, then drift and bits where a calibration allows, then what left the range."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass

import pytest
import torch

from fuzz.engine import judge_values as module
from fuzz.engine.calls import Prepared
from fuzz.engine.judge_values import definitely_wrong, error_model_of, judge_values
from fuzz.engine.library import Library
from fuzz.engine.paths import BY_NAME
from fuzz.engine.verdict import Grade, PathVerdict, Ruling, Symptom
from fuzz.oracle.arms import Arm
from fuzz.oracle.bounds import Interval, dequantize_model, error_model, interval
from fuzz.oracle.calibration import Calibration
from fuzz.oracle.codebooks import NF4
from strategies.case import Case, FloatDType, Layout, PackedView, Quantization, Weight
from tests.fuzz.engine.helpers import FUSED, H200, LEGACY, library, prepared_by_hand, question_of, references_of
from tests.fuzz.engine.outputs import DTYPES, HALVES, calibration, output_of

TAKES_FUSED = library(device="cuda", gpu=H200, rule=True)
TAKES_LINEAR = library(device="cuda", gpu=H200, rule=False)
ON_CPU = library(cpu_repack=True)


@dataclass(frozen=True)
class Kernel:
    """A kernel, and a path, a library, rows and a dtype that lead to it."""

    arm: Arm
    path: str
    loaded: Library
    rows: int
    dtype: torch.dtype


KERNELS = [
    *(Kernel(Arm.SIMT, "gemm_4bit_op", TAKES_FUSED, 3, dtype) for dtype in DTYPES),
    *(Kernel(Arm.GEMV, "gemv_4bit", FUSED, 1, dtype) for dtype in DTYPES),
    *(Kernel(Arm.TENSOR_CORE, "gemm_4bit_op", TAKES_FUSED, 33, dtype) for dtype in HALVES),
    *(Kernel(Arm.LINEAR, "matmul_4bit", TAKES_LINEAR, 3, dtype) for dtype in DTYPES),
]
ROUNDING = [kernel for kernel in KERNELS if kernel.arm is not Arm.LINEAR and kernel.dtype is not torch.float32]
TABLES = [None, calibration()]
OVERFLOWS = [kernel for kernel in ROUNDING if kernel.arm is not Arm.TENSOR_CORE and kernel.dtype is torch.float16]


@pytest.fixture(autouse=True)
def _without_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    calibrate(monkeypatch, None)


def calibrate(monkeypatch: pytest.MonkeyPatch, table: Calibration | None) -> None:
    monkeypatch.setattr(module, "find", lambda device, release: table if (device, release) == ("a device for tests", "0.50.2") else None)


def product(rows: int, dtype: torch.dtype, loaded: Library, *, bias: bool = False, terms: int = 64) -> Prepared:
    """A random product with three outputs."""
    random = torch.Generator().manual_seed(rows)
    index = torch.randint(0, 16, (3, terms), generator=random)
    absmax = 0.5 + torch.rand(3 * terms // 32, generator=random)
    x = torch.randn(rows, terms, generator=random).to(dtype)
    return prepared_by_hand(x, index, absmax, bias=torch.randn(3, generator=random).to(dtype) if bias else None, loaded=loaded)


def product_for(kernel: Kernel, *, bias: bool = False, terms: int = 64) -> Prepared:
    return product(kernel.rows, kernel.dtype, kernel.loaded, bias=bias, terms=terms)


def verdict_on(prepared: Prepared, path: str, result: torch.Tensor, ruling: Ruling = Ruling.VALID) -> PathVerdict:
    verdict = judge_values(question_of(prepared, path, ruling), result, references_of(prepared))
    assert PathVerdict.from_json(json.loads(json.dumps(verdict.to_json(), allow_nan=False))) == verdict
    return verdict


def allowed(prepared: Prepared, path: str) -> Interval:
    """The a-priori interval."""
    exact = references_of(prepared).product(BY_NAME[path])
    return interval(exact, error_model_of(BY_NAME[path], prepared.case, prepared.library, exact), prepared.activation.dtype)


def changed(result: torch.Tensor, place: tuple[int, ...], value: float) -> torch.Tensor:
    other = result.clone()
    other[place] = value
    return other


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("bias", [False, True])
def test_a_right_result(kernel: Kernel, table: Calibration | None, bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    calibrate(monkeypatch, table)
    prepared = product_for(kernel, bias=bias)
    adds = bias and BY_NAME[kernel.path].adds_bias
    verdict = verdict_on(prepared, kernel.path, output_of(prepared if adds else dataclasses.replace(prepared, bias=None), kernel.arm))
    assert verdict.symptom is None
    assert verdict.grade is None
    assert verdict.errors is None
    assert verdict.arms == (kernel.arm.value,)
    assert verdict.error_over_bound is not None
    assert 0 <= verdict.error_over_bound <= 1
    assert verdict.model == error_model((kernel.arm,), kernel.dtype, 64, kernel.dtype, bias=adds)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_of_a_dense_product_nothing_is_said_about_what_is_no_number(dtype: torch.dtype, value: float) -> None:
    """It is torch's: what leaks from one row into the next is no defect of bitsandbytes."""
    prepared = product(3, dtype, TAKES_LINEAR)
    right = output_of(prepared, Arm.LINEAR)
    prepared.activation[1, 5] = value
    for row, other in ((0, math.nan), (0, math.inf), (1, 0.0)):
        assert verdict_on(prepared, "matmul_4bit", changed(right, (row, 1), other)).symptom is None
    verdict = verdict_on(prepared, "matmul_4bit", changed(right, (0, 1), 1e4))
    assert (verdict.symptom, verdict.grade) == (Symptom.WRONG_VALUE, Grade.DEFINITE)


@pytest.mark.parametrize("kernel", [kernel for kernel in KERNELS if kernel.rows == 3 and kernel.arm is not Arm.LINEAR])
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_no_number_comes_out_as_none_and_touches_nothing_else(
    kernel: Kernel, table: Calibration | None, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrate(monkeypatch, table)
    prepared = product_for(kernel)
    right = output_of(prepared, kernel.arm)
    prepared.activation[1, 5] = value
    for other in (math.nan, math.inf, -math.inf):
        assert verdict_on(prepared, kernel.path, changed(right, (1,), other)).symptom is None
    for place, wrong in (((1, 0), 1.0), ((0, 0), value), ((2, 2), 1e4)):
        verdict = verdict_on(prepared, kernel.path, changed(changed(right, (1,), math.nan), place, wrong))
        assert (verdict.symptom, verdict.grade) == (Symptom.WRONG_VALUE, Grade.DEFINITE)
        assert f"at {place}; 1 of 9 outputs" in verdict.got


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("table", TABLES)
def test_a_definite_fault_is_no_drift(kernel: Kernel, table: Calibration | None, monkeypatch: pytest.MonkeyPatch) -> None:
    calibrate(monkeypatch, table)
    prepared = product_for(kernel)
    right, end, row = output_of(prepared, kernel.arm), allowed(prepared, kernel.path), kernel.rows - 1
    above = torch.nextafter(end.high, torch.full_like(end.high, math.inf))
    verdict = verdict_on(prepared, kernel.path, changed(right, (row, 2), float(above[row, 2])))
    assert (verdict.symptom, verdict.how, verdict.grade) == (Symptom.WRONG_VALUE, "", Grade.DEFINITE)
    assert verdict.got.endswith(f"at ({row}, 2); 1 of {3 * kernel.rows} outputs are wrong")
    assert f"at ({row}, 2)" in verdict.expected
    assert verdict.error_over_bound is not None
    assert verdict.error_over_bound > 0.9
    assert verdict.arms == (kernel.arm.value,)
    assert verdict_on(prepared, kernel.path, changed(right, (0, 1), float(end.low[0, 1]))).grade is not Grade.DEFINITE


@pytest.mark.parametrize("ruling", [Ruling.VALID, Ruling.UNSPECIFIED])
def test_a_wrong_value_names_the_place_and_both_numbers(ruling: Ruling) -> None:
    prepared = product(2, torch.float16, TAKES_FUSED)
    verdict = verdict_on(prepared, "matmul_4bit", changed(output_of(prepared, Arm.SIMT), (1, 2), 40.0), ruling)
    assert verdict.symptom is Symptom.WRONG_VALUE
    assert verdict.ruling is ruling
    assert "before rounding to float16, at (1, 2)" in verdict.expected
    assert verdict.got == "40 at (1, 2); 1 of 6 outputs are wrong"
    assert verdict.error_over_bound is not None
    assert verdict.error_over_bound > 100
    assert verdict.errors is not None
    assert (verdict.errors.shape, verdict.errors.wrong) == ((2, 3), ("...", "..x"))
    assert verdict.errors.ratios[1][2] == pytest.approx(verdict.error_over_bound, rel=0.01)
    assert all(value is not None and value <= 1 for value in (*verdict.errors.ratios[0], *verdict.errors.ratios[1][:2]))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("table", TABLES)
def test_a_number_that_is_not_finite_where_it_has_to_be_is_wrong(
    value: float, table: Calibration | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrate(monkeypatch, table)
    prepared = product(2, torch.float16, TAKES_FUSED)
    right = output_of(prepared, Arm.SIMT)
    verdict = verdict_on(prepared, "matmul_4bit", changed(right, (1, 2), value))
    assert (verdict.symptom, verdict.how, verdict.grade) == (Symptom.WRONG_VALUE, "", Grade.DEFINITE)
    assert verdict.got.startswith(str(value))
    assert verdict.error_over_bound is None
    every = verdict_on(prepared, "matmul_4bit", torch.full_like(right, value))
    assert "6 of 6" in every.got


@pytest.mark.parametrize("kernel", ROUNDING)
def test_another_arithmetic_within_the_bound_is_drift_where_the_own_one_was_confirmed(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights rounded once instead of three times, or, on a tensor core, whatever else the bound allows."""
    prepared = product_for(kernel, terms=256)
    end = allowed(prepared, kernel.path)
    drifted = end.high if kernel.arm is Arm.TENSOR_CORE else output_of(prepared, Arm.TENSOR_CORE)
    assert not bool(definitely_wrong(drifted, end).any())
    assert verdict_on(prepared, kernel.path, drifted).symptom is None  # nothing sharp without a calibration
    for table in (calibration(), calibration(different=7)):
        calibrate(monkeypatch, table)
        verdict = verdict_on(prepared, kernel.path, drifted)
        assert (verdict.symptom, verdict.how, verdict.grade) == (Symptom.WRONG_VALUE, "arithmetic drift", Grade.DRIFT)
        assert " by the kernel's own arithmetic, at (" in verdict.expected
        assert verdict.arms == (kernel.arm.value,)
        assert verdict.model is not None
    for table in (calibration(outside=1), calibration(without=[(kernel.arm, kernel.dtype)])):
        calibrate(monkeypatch, table)
        assert verdict_on(prepared, kernel.path, drifted).symptom is None


@pytest.mark.parametrize("kernel", KERNELS)
def test_other_bits_within_the_interval_are_wrong_where_the_order_was_confirmed(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared, right, wrong = _with_two_allowed(kernel)
    calibrate(monkeypatch, calibration())
    assert verdict_on(prepared, kernel.path, right).symptom is None
    verdict = verdict_on(prepared, kernel.path, wrong)
    assert (verdict.symptom, verdict.how, verdict.grade) == (Symptom.WRONG_VALUE, "other bits", Grade.BITS)
    assert verdict.expected.startswith(f"{float(right[0, 0]):.9g} by the kernel's own arithmetic, at (0, 0)")
    assert verdict.got == f"{float(wrong[0, 0]):.9g} at (0, 0); 1 of {3 * kernel.rows} outputs are wrong"
    for table in (calibration(different=1), None):
        calibrate(monkeypatch, table)
        assert verdict_on(prepared, kernel.path, wrong).symptom is None


def _with_two_allowed(kernel: Kernel) -> tuple[Prepared, torch.Tensor, torch.Tensor]:
    """A sum in the middle of two numbers, made of terms that are not exact: the interval allows both, and the order decides.

    Returns:
        The product, the right result, and one whose first element is the other number.
    """
    unit = torch.finfo(kernel.dtype).eps
    hidden = (2.0**-20 if kernel.dtype is torch.bfloat16 else 2.0**-14) * (1 + unit)  # its last bit lies below float32's
    x = torch.randn(kernel.rows, 64, generator=torch.Generator().manual_seed(1))
    x[0] = 0.0
    x[0, :4] = torch.tensor([1.0, unit / 2, hidden, -hidden])
    prepared = prepared_by_hand(x.to(kernel.dtype), torch.full((3, 64), 15), torch.ones(6), loaded=kernel.loaded)
    right = output_of(prepared, kernel.arm)
    return prepared, right, changed(right, (0, 0), 1.0 if float(right[0, 0]) > 1 else 1 + unit)


OVERFLOWING = torch.tensor([[258.5, -256.0, *[0.0] * 30]]).half()


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("kernel", OVERFLOWS)
def test_products_of_float16_that_overflow_are_a_divergence_of_range(
    kernel: Kernel, table: Calibration | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrate(monkeypatch, table)
    prepared = prepared_by_hand(OVERFLOWING, torch.full((2, 32), 15), torch.tensor([256.0, 1.0]), loaded=kernel.loaded)
    result = output_of(prepared, kernel.arm)
    assert repr(result.tolist()) == "[[nan, 2.5]]"
    verdict = verdict_on(prepared, kernel.path, result)
    assert (verdict.symptom, verdict.how, verdict.grade) == (Symptom.RANGE_DIVERGENCE, "overflow", None)
    assert verdict.expected == "640, which float16 can represent, at (0, 0)"
    assert verdict.got == "nan at (0, 0); 1 of 2 outputs"
    assert verdict.errors is not None
    assert (verdict.errors.wrong, verdict.errors.ratios[0][0]) == (("x.",), None)
    assert verdict.arms == (kernel.arm.value,)
    assert verdict.model is not None


def test_a_finite_number_where_the_confirmed_arithmetic_overflows_is_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = prepared_by_hand(OVERFLOWING, torch.full((2, 32), 15), torch.tensor([256.0, 1.0]), loaded=TAKES_FUSED)
    finite = torch.tensor([[640.0, 2.5]]).half()
    assert verdict_on(prepared, "gemm_4bit_op", finite).symptom is None
    calibrate(monkeypatch, calibration())
    verdict = verdict_on(prepared, "gemm_4bit_op", finite)
    assert (verdict.symptom, verdict.how, verdict.grade) == (Symptom.WRONG_VALUE, "arithmetic drift", Grade.DRIFT)
    assert verdict.expected.startswith("nan by the kernel's own arithmetic, at (0, 0)")
    assert verdict.got.startswith("640 at (0, 0); 1 of 2")


def test_a_wrong_finite_number_where_products_overflow_is_definitely_wrong() -> None:
    prepared = prepared_by_hand(OVERFLOWING, torch.full((2, 32), 15), torch.tensor([256.0, 1.0]), loaded=TAKES_FUSED)
    verdict = verdict_on(prepared, "gemm_4bit_op", torch.tensor([[60000.0, 2.5]]).half())
    assert (verdict.symptom, verdict.how, verdict.grade) == (Symptom.WRONG_VALUE, "", Grade.DEFINITE)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_no_range_excuses_the_cpu_kernel_that_computes_in_bfloat16(value: float) -> None:
    prepared = prepared_by_hand(OVERFLOWING, torch.full((2, 32), 15), torch.tensor([256.0, 1.0]), loaded=ON_CPU)
    assert verdict_on(prepared, "gemv_4bit", torch.tensor([[640.0, 2.5]]).half()).arms == ("cpu_bf16",)
    verdict = verdict_on(prepared, "gemv_4bit", torch.tensor([[value, 2.5]]).half())
    assert (verdict.symptom, verdict.how, verdict.grade) == (Symptom.WRONG_VALUE, "", Grade.DEFINITE)


def test_infinity_where_the_result_itself_is_out_of_range_is_right() -> None:
    prepared = prepared_by_hand(torch.full((1, 32), 256.0).half(), torch.full((1, 32), 15), torch.tensor([256.0]), loaded=TAKES_FUSED)
    assert verdict_on(prepared, "gemm_4bit_op", torch.tensor([[math.inf]]).half()).symptom is None


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("kernel", OVERFLOWS)
def test_products_of_float16_that_underflow_are_a_divergence_of_range(
    kernel: Kernel, table: Calibration | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4096 products of 2**-26 each become zero; their sum would be 2**-14, the smallest normal number."""
    calibrate(monkeypatch, table)
    prepared = _vanishing(1, torch.float16, kernel.loaded, terms=4096)
    result = output_of(prepared, kernel.arm)
    assert result.tolist() == [[0.0]]
    verdict = verdict_on(prepared, kernel.path, result)
    assert (verdict.symptom, verdict.how, verdict.grade) == (Symptom.RANGE_DIVERGENCE, "underflow", None)
    assert verdict.expected == f"{2.0**-14:.9g}, which float16 can represent, at (0, 0)"
    assert verdict.got == "0 at (0, 0); 1 of 1 outputs"
    exact = verdict_on(prepared, kernel.path, torch.tensor([[2.0**-14]]).half())
    assert exact.symptom is (Symptom.WRONG_VALUE if table else None)


def _vanishing(rows: int, dtype: torch.dtype, loaded: Library, terms: int = 64) -> Prepared:
    x, absmax = torch.full((rows, terms), 2.0**-13).to(dtype), torch.full((terms // 32,), 2.0**-13)
    return prepared_by_hand(x, torch.full((1, terms), 15), absmax, loaded=loaded)


@pytest.mark.parametrize("kernel", OVERFLOWS)
def test_a_result_that_is_subnormal_itself_has_lost_its_precision_by_right(kernel: Kernel) -> None:
    prepared = _vanishing(1, torch.float16, kernel.loaded)
    for result in (0.0, 2.0**-20):
        assert verdict_on(prepared, kernel.path, torch.tensor([[result]]).half()).symptom is None
    assert verdict_on(prepared, kernel.path, torch.tensor([[2.0**-16]]).half()).grade is Grade.DEFINITE


@pytest.mark.parametrize("kernel", [kernel for kernel in KERNELS if kernel not in OVERFLOWS])
def test_where_products_do_not_underflow_a_sum_that_vanishes_is_definitely_wrong(kernel: Kernel) -> None:
    prepared = _vanishing(kernel.rows, kernel.dtype, kernel.loaded)
    assert verdict_on(prepared, kernel.path, output_of(prepared, kernel.arm)).symptom is None
    verdict = verdict_on(prepared, kernel.path, torch.zeros(kernel.rows, 1).to(kernel.dtype))
    assert (verdict.symptom, verdict.grade) == (Symptom.WRONG_VALUE, Grade.DEFINITE)


def test_where_any_kernel_may_run_the_result_of_each_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    calibrate(monkeypatch, calibration())
    prepared = product(3, torch.float16, FUSED, terms=256)
    results = [output_of(prepared, arm) for arm in (Arm.SIMT, Arm.TENSOR_CORE, Arm.LINEAR)]
    for result in results:
        verdict = verdict_on(prepared, "matmul_4bit", result)
        assert verdict.symptom is None
        assert verdict.arms == ("simt", "tensor_core", "linear")
    drifted = allowed(prepared, "matmul_4bit").high
    assert verdict_on(prepared, "matmul_4bit", drifted).grade is Grade.DRIFT
    calibrate(monkeypatch, calibration(without=[(Arm.LINEAR, torch.float16)]))
    assert verdict_on(prepared, "matmul_4bit", drifted).symptom is None  # nothing is known of a kernel that may have run


def test_a_bias_of_releases_before_0_50_is_added_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find", lambda *_: calibration())
    random = torch.Generator().manual_seed(3)
    index, absmax = torch.randint(0, 16, (80, 64), generator=random), 0.5 + torch.rand(160, generator=random)
    bias = (torch.randn(80, generator=random) * 10).half()
    prepared = prepared_by_hand(torch.randn(1, 64, generator=random).half(), index, absmax, bias=bias, loaded=LEGACY)
    late, early = (output_of(prepared, Arm.GEMV, late_bias=late_bias) for late_bias in (True, False))
    assert verdict_on(prepared, "matmul_4bit", late).symptom is None
    assert verdict_on(prepared, "matmul_4bit", early).symptom is Symptom.WRONG_VALUE


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("packed", PackedView)
def test_a_dequantized_weight_is_judged_in_the_view_that_the_case_asks_for(
    dtype: torch.dtype, layout: Layout, packed: PackedView, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrate(monkeypatch, calibration())
    random = torch.Generator().manual_seed(4)
    index, absmax = torch.randint(1, 7, (6, 32), generator=random), 1 + torch.rand(6, generator=random)
    name = next(name for name in FloatDType if name.value == str(dtype).removeprefix("torch."))
    case = Case(weight=Weight(layout=layout, dtype=name), quantization=Quantization(blocksize=32), packed=packed)
    prepared = prepared_by_hand(torch.ones(1, 32).to(dtype), index, absmax, case=case)
    flat = torch.tensor(NF4)[(index if layout is Layout.OUT_IN else index.t()).flatten()] * absmax.repeat_interleave(32)
    right = flat.to(dtype).reshape(prepared.case.weight.stored_shape)
    right = right if packed is PackedView.RETURNED else right.t()
    verdict = verdict_on(prepared, "dequantize_4bit", right)
    assert verdict.symptom is None
    assert verdict.arms == ("dequantize",)
    assert verdict.model == dequantize_model(dtype)
    place = (right.shape[0] - 1, 3)
    definite = verdict_on(prepared, "dequantize_4bit", changed(right, place, float(right[place]) * 1.02))
    assert (definite.symptom, definite.how, definite.grade) == (Symptom.WRONG_VALUE, "", Grade.DEFINITE)
    assert definite.got.endswith(f"at {place}; 1 of 192 outputs are wrong")


def test_other_bits_of_a_dequantized_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A product that lies near the middle of two float32 numbers: the a-priori bound allows both."""
    index = torch.full((1, 32), 1)
    for step in range(1000):
        scale = torch.tensor([1.0 + step * 2.0**-23 * 7919])
        exact = -0.6961928009986877 * float(scale)
        right = torch.tensor([-0.6961928009986877]) * scale
        if abs(float(right) - exact) > 0.495 * 2.0**-23 * 2.0 ** math.floor(math.log2(abs(exact))):
            break
    prepared = prepared_by_hand(torch.ones(1, 32), index, scale)
    result = right.expand(1, 32).clone()
    other = torch.nextafter(right, torch.tensor([-math.inf if exact < float(right) else math.inf]))
    wrong = changed(result, (0, 9), float(other))
    assert verdict_on(prepared, "dequantize_4bit", wrong).symptom is None
    calibrate(monkeypatch, calibration())
    assert verdict_on(prepared, "dequantize_4bit", result).symptom is None
    verdict = verdict_on(prepared, "dequantize_4bit", wrong)
    assert (verdict.symptom, verdict.how, verdict.grade) == (Symptom.WRONG_VALUE, "other bits", Grade.BITS)
    assert verdict.got.endswith("at (0, 9); 1 of 32 outputs are wrong")
    calibrate(monkeypatch, calibration(different=1))
    assert verdict_on(prepared, "dequantize_4bit", wrong).symptom is None


def test_places_are_those_of_the_documented_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    calibrate(monkeypatch, calibration(different=1))
    flat = product(6, torch.float16, TAKES_FUSED, terms=256)
    index = torch.randint(0, 16, (3, 256), generator=torch.Generator().manual_seed(1))
    prepared = prepared_by_hand(flat.activation.reshape(2, 3, 256), index, torch.ones(24), loaded=TAKES_FUSED)
    right = output_of(prepared, Arm.SIMT)
    assert verdict_on(prepared, "gemm_4bit_op", right).symptom is None
    drifted = changed(right, (1, 2, 0), float(allowed(prepared, "gemm_4bit_op").high[1, 2, 0]))
    for result, grade in ((drifted, Grade.DRIFT), (changed(right, (1, 2, 0), 1e4), Grade.DEFINITE)):
        verdict = verdict_on(prepared, "gemm_4bit_op", result)
        assert verdict.grade is grade
        assert "at (1, 2, 0)" in verdict.expected
        assert "at (1, 2, 0); 1 of 18" in verdict.got


def test_minus_zero_is_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = prepared_by_hand(torch.zeros(2, 32).half(), torch.full((4, 32), 15), torch.ones(4), loaded=TAKES_FUSED)
    for table in (None, calibration()):
        calibrate(monkeypatch, table)
        assert verdict_on(prepared, "gemm_4bit_op", torch.full((2, 4), -0.0).half()).symptom is None


def test_a_bias_is_part_of_what_is_expected() -> None:
    prepared = product(2, torch.float16, TAKES_FUSED, bias=True)
    assert verdict_on(prepared, "matmul_4bit", output_of(prepared, Arm.SIMT)).symptom is None
    without = output_of(dataclasses.replace(prepared, bias=None), Arm.SIMT)
    assert verdict_on(prepared, "matmul_4bit", without).grade is Grade.DEFINITE


def test_a_reference_of_another_shape_is_a_mistake_of_the_harness() -> None:
    prepared = product(2, torch.float16, TAKES_FUSED)
    with pytest.raises(ValueError, match="the reference has shape"):
        verdict_on(prepared, "matmul_4bit", torch.zeros(3, 3).half())


def test_a_result_is_not_changed_and_its_gradient_plays_no_part() -> None:
    prepared = product(2, torch.float16, TAKES_FUSED)
    result = changed(output_of(prepared, Arm.SIMT), (1, 1), 40.0)
    before = result.clone()
    assert verdict_on(prepared, "matmul_4bit", result.requires_grad_()).symptom is Symptom.WRONG_VALUE
    assert torch.equal(result, before)


def test_a_calibration_is_looked_for_by_device_and_release(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(module, "find", lambda *arguments: asked.append(arguments))
    prepared = product(2, torch.float16, TAKES_FUSED)
    verdict_on(prepared, "matmul_4bit", output_of(prepared, Arm.SIMT))
    assert asked == [("a device for tests", "0.50.2")]
