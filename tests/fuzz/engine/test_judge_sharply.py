"""Judged by the kernel's own arithmetic: which emulation is asked, and that nothing is said where none was confirmed."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from fuzz.engine.calls import Prepared
from fuzz.engine.judge_sharply import MOST_OPERATIONS, judge_sharply
from fuzz.engine.library import Library
from fuzz.engine.verdict import Grade, PathVerdict, Symptom
from fuzz.oracle.arms import Arm
from fuzz.oracle.calibration import Calibration
from fuzz.oracle.operands import Nested, block_scales_float32
from fuzz.oracle.ordered import operations
from strategies.case import Case, CudaStream, Execution, FloatDType, Layout, Mode, PackedView, Quantization, Weight
from tests.fuzz.engine.helpers import H200, LEGACY, library, nested_state, plain_state, prepared_by_hand, question_of, references_of
from tests.fuzz.engine.outputs import DTYPES, calibration, output_of

TAKES_FUSED = library(device="cuda", gpu=H200, rule=True)
TAKES_LINEAR = library(device="cuda", gpu=H200, rule=False)
REPACKING = library(cpu_repack=True)


def sharply(prepared: Prepared, path: str, result: torch.Tensor, table: Calibration) -> PathVerdict | None:
    return judge_sharply(question_of(prepared, path), result, references_of(prepared), table)


def kinds(verdict: PathVerdict | None) -> tuple[Symptom | None, str, Grade | None]:
    assert verdict is not None
    return (verdict.symptom, verdict.how, verdict.grade)


DRIFT = (Symptom.WRONG_VALUE, "arithmetic drift", Grade.DRIFT)
BITS = (Symptom.WRONG_VALUE, "other bits", Grade.BITS)


def confirmed(nested: tuple[Nested, ...], *, different: int = 0) -> Calibration:
    """A calibration that tells evaluations of compressed scales apart, or not."""
    table = calibration(different=different)
    return dataclasses.replace(table, rows=tuple(dataclasses.replace(row, nested=nested) for row in table.rows))


def product(dtype: torch.dtype = torch.float16, rows: int = 3, terms: int = 64, loaded: Library = TAKES_FUSED) -> Prepared:
    """A random product with four outputs."""
    random = torch.Generator().manual_seed(terms)
    index = torch.randint(0, 16, (4, terms), generator=random)
    x = torch.randn(rows, terms, generator=random).to(dtype)
    return prepared_by_hand(x, index, 0.5 + torch.rand(4 * terms // 32, generator=random), loaded=loaded)


@pytest.mark.parametrize(("path", "loaded"), [("linear4bit", REPACKING), ("gemv_4bit", REPACKING)])
def test_of_a_kernel_without_an_emulation_nothing_is_said(path: str, loaded: Library) -> None:
    prepared = product(rows=1, loaded=loaded)
    assert sharply(prepared, path, torch.full((1, 4), math.nan).half(), calibration()) is None


@pytest.mark.parametrize("path", ["matmul_4bit", "dequantize_linear"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_dense_products_are_compared_with_torchs_own_bit_for_bit(path: str, dtype: torch.dtype) -> None:
    prepared = product(dtype, loaded=TAKES_LINEAR)
    right = output_of(prepared, Arm.LINEAR)
    assert sharply(prepared, path, right, calibration()) is None
    wrong = right.clone()
    wrong[2, 1] = torch.nextafter(right, torch.full_like(right, math.inf))[2, 1]
    verdict = sharply(prepared, path, wrong, calibration())
    assert kinds(verdict) == BITS
    assert verdict is not None
    assert verdict.expected == f"{float(right[2, 1]):.9g} by the kernel's own arithmetic, at (2, 1)"
    assert verdict.got == f"{float(wrong[2, 1]):.9g} at (2, 1); 1 of 12 outputs are wrong"
    assert verdict.errors is not None
    assert verdict.errors.wrong == ("....", "....", ".x..")
    assert 0.5 <= (verdict.errors.ratios[2][1] or 0.0) <= 2  # one unit in the last place, in units of half of one
    for table in (calibration(different=1), calibration(outside=1, different=1), calibration(without=[(Arm.LINEAR, dtype)])):
        assert sharply(prepared, path, wrong, table) is None


@pytest.mark.parametrize(
    ("path", "execution"),
    [("matmul_4bit", Execution(stream=CudaStream.SIDE)), ("matmul_4bit_replayed", Execution(mode=Mode.GRAPH))],
)
def test_what_blas_does_on_another_stream_or_in_a_graph_was_not_measured(path: str, execution: Execution) -> None:
    plain = product(loaded=TAKES_LINEAR)
    wrong = output_of(plain, Arm.LINEAR) * 1.001
    assert kinds(sharply(plain, "matmul_4bit", wrong, calibration())) == BITS
    there = dataclasses.replace(plain, case=dataclasses.replace(plain.case, execution=execution))
    assert sharply(there, path, wrong, calibration()) is None
    own_kernel = dataclasses.replace(there, library=TAKES_FUSED)
    assert sharply(own_kernel, path, wrong * 2, calibration()) is not None, "a kernel of the library's own does the same everywhere"


def test_nan_is_right_where_torchs_own_is_nan() -> None:
    prepared = product(loaded=TAKES_LINEAR)
    x = prepared.activation.clone()
    x[1, 3] = math.nan
    prepared = dataclasses.replace(prepared, activation=x)
    right = output_of(prepared, Arm.LINEAR)
    assert right.isnan().sum() == 4
    assert sharply(prepared, "matmul_4bit", right, calibration()) is None
    finite = right.nan_to_num(nan=1.0)
    verdict = sharply(prepared, "matmul_4bit", finite, calibration())
    assert kinds(verdict) == BITS
    assert verdict is not None
    assert verdict.got.endswith("at (1, 0); 4 of 12 outputs are wrong")


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("packed", PackedView)
@pytest.mark.parametrize("dtype", [FloatDType.FLOAT16, FloatDType.FLOAT32])
def test_a_weight_is_compared_in_the_view_that_the_case_asks_for(layout: Layout, packed: PackedView, dtype: FloatDType) -> None:
    case = Case(weight=Weight(layout=layout, dtype=dtype), quantization=Quantization(blocksize=32), packed=packed)
    made = product()
    prepared = prepared_by_hand(made.activation, torch.arange(256).reshape(4, 64) % 15, made.state.absmax, case=case)
    stored = references_of(prepared).weight(torch.float16 if dtype is FloatDType.FLOAT16 else torch.float32)
    right = stored if packed is PackedView.RETURNED else stored.t()
    assert sharply(prepared, "dequantize_4bit", right, calibration()) is None
    wrong = right.clone()
    place = (right.shape[0] - 1, 2)
    wrong[place] = 3.0
    verdict = sharply(prepared, "dequantize_4bit", wrong, calibration())
    assert kinds(verdict) == BITS
    assert verdict is not None
    assert verdict.got == f"3 at {place}; 1 of 256 outputs are wrong"


def test_weights_that_are_subnormal_in_float32_may_be_flushed() -> None:
    prepared = prepared_by_hand(torch.ones(1, 32), torch.full((1, 32), 14), torch.tensor([2.0**-127]))
    kept = references_of(prepared).weight(torch.float32)
    assert bool((kept > 0).all())
    assert sharply(prepared, "dequantize_4bit", kept, calibration()) is None
    assert sharply(prepared, "dequantize_4bit", torch.zeros(1, 32), calibration()) is None
    assert kinds(sharply(prepared, "dequantize_4bit", torch.full((1, 32), 2.0**-130), calibration())) == BITS
    normal = prepared_by_hand(torch.ones(1, 32), torch.full((1, 32), 14), torch.tensor([2.0**-124]))
    assert kinds(sharply(normal, "dequantize_4bit", torch.zeros(1, 32), calibration())) == BITS


@pytest.mark.parametrize(
    ("path", "loaded", "arm", "rows"), [("gemm_4bit_op", TAKES_FUSED, Arm.SIMT, 2), ("gemv_4bit", LEGACY, Arm.GEMV, 1)]
)
def test_compressed_scales_are_right_in_the_evaluation_that_was_confirmed(path: str, loaded: Library, arm: Arm, rows: int) -> None:
    """Where an offset cancels, one rounding and two give other weights; in float32 hardly an output is the same."""
    plain = product(torch.float32, rows, loaded=loaded)
    state = nested_state(torch.arange(8, dtype=torch.uint8) * 30, torch.tensor([0.37]), 0.1234)
    prepared = dataclasses.replace(plain, state=state)
    scales = block_scales_float32(state)
    results = {nested: output_of(dataclasses.replace(plain, state=plain_state(scales[nested])), arm) for nested in Nested}
    assert not torch.equal(results[Nested.SEPARATE], results[Nested.FUSED])
    for nested, result in results.items():
        other = next(one for one in Nested if one is not nested)
        assert sharply(prepared, path, result, confirmed((nested,))) is None
        assert sharply(prepared, path, result, confirmed(tuple(Nested))) is None
        assert kinds(sharply(prepared, path, result, confirmed((other,)))) in (DRIFT, BITS)


def test_of_several_wrong_outputs_the_furthest_is_shown_and_all_are_counted() -> None:
    prepared = product(torch.float16, rows=3, terms=256)
    right = output_of(prepared, Arm.SIMT)
    wrong = right.clone()
    wrong[0, 1] += 0.25
    wrong[2, 3] -= 1.0
    verdict = sharply(prepared, "gemm_4bit_op", wrong, calibration())
    assert kinds(verdict) == DRIFT
    assert verdict is not None
    assert verdict.got == f"{float(wrong[2, 3]):.9g} at (2, 3); 2 of 12 outputs are wrong"
    assert verdict.error_over_bound is not None
    assert verdict.error_over_bound > 1
    assert verdict.errors is not None
    assert verdict.errors.wrong == (".x..", "....", "...x")
    assert verdict.errors.ratios[2][3] == pytest.approx(verdict.error_over_bound, rel=0.01)


def test_drift_comes_before_bits_and_only_what_drifted_is_counted() -> None:
    prepared = product(torch.float32, rows=3, terms=256)
    right = output_of(prepared, Arm.SIMT)
    beside = torch.nextafter(right, torch.full_like(right, math.inf))
    assert kinds(sharply(prepared, "gemm_4bit_op", beside, calibration())) == BITS
    wrong = beside.clone()
    wrong[1, 1] = right[1, 1] + 0.125
    verdict = sharply(prepared, "gemm_4bit_op", wrong, calibration())
    assert kinds(verdict) == DRIFT
    assert verdict is not None
    assert verdict.got.endswith("at (1, 1); 1 of 12 outputs are wrong")
    assert " to " in verdict.expected


@pytest.mark.parametrize(("terms", "seen"), [(320, True), (384, False)])
def test_bits_of_long_sums_are_too_dear_and_their_intervals_judge(terms: int, seen: bool) -> None:  # noqa: FBT001
    """45 operations for each 16 terms of a tensor core, and at most a thousand."""
    assert (operations(Arm.TENSOR_CORE, torch.float32, terms) <= MOST_OPERATIONS) == seen
    x = torch.zeros(33, terms).half()
    x[0, :4] = torch.tensor([1.0, 2.0**-11, 2.0**-14 + 2.0**-24, -(2.0**-14) - 2.0**-24])
    prepared = prepared_by_hand(x, torch.full((1, terms), 15), torch.ones(terms // 32), loaded=TAKES_FUSED)
    right = output_of(prepared, Arm.TENSOR_CORE)
    assert sharply(prepared, "gemm_4bit_op", right, calibration()) is None
    wrong = right.clone()
    wrong[0, 0] = 1.0 if float(right[0, 0]) > 1 else 1 + 2.0**-10
    verdict = sharply(prepared, "gemm_4bit_op", wrong, calibration())
    assert (verdict is not None) == seen
    if seen:
        assert kinds(verdict) == BITS
    wrong[0, 0] = 1 + 2.0**-9
    assert kinds(sharply(prepared, "gemm_4bit_op", wrong, calibration())) == DRIFT


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_the_ratio_of_an_infinite_output_is_not_shown(value: float) -> None:
    prepared = product()
    wrong = output_of(prepared, Arm.SIMT)
    wrong[0, 0] = value
    verdict = sharply(prepared, "gemm_4bit_op", wrong, calibration())
    assert kinds(verdict) == DRIFT
    assert verdict is not None
    assert verdict.error_over_bound is None


def test_the_ratio_of_nan_is_not_shown() -> None:
    prepared = product()
    wrong = output_of(prepared, Arm.SIMT)
    wrong[0, 0] = math.nan
    verdict = sharply(prepared, "gemm_4bit_op", wrong, calibration())
    assert kinds(verdict) == DRIFT
    assert verdict is not None
    assert verdict.error_over_bound is None
