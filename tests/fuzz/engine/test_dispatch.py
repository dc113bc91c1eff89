"""Which kernel is expected to run: upstream's rules, worked out by hand at the ends of each of their ranges."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch

from fuzz.engine import dispatch
from fuzz.engine.dispatch import ANY_FUSED, MOST_ROWS, fused_arm, gemm_arms, gemv_arms, linear_arms, matmul_arms
from fuzz.engine.library import Gpu, Library
from fuzz.oracle.arms import Arm
from strategies.case import Activation, Case, Execution, FloatDType, Layout, Quantization, Weight
from tests.fuzz.engine.helpers import H200, LEGACY, library

A100 = Gpu(major=8, minor=0, multiprocessors=108)
A10 = Gpu(major=8, minor=6, multiprocessors=72)
SMALL_8_6 = Gpu(major=8, minor=6, multiprocessors=40)
RTX_4090 = Gpu(major=8, minor=9, multiprocessors=128)
L4 = Gpu(major=8, minor=9, multiprocessors=58)
RTX_5090 = Gpu(major=12, minor=0, multiprocessors=170)
B200 = Gpu(major=10, minor=0, multiprocessors=148)
T4 = Gpu(major=7, minor=5, multiprocessors=40)
V100 = Gpu(major=7, minor=0, multiprocessors=80)
HALF, BRAIN, SINGLE = FloatDType.FLOAT16, FloatDType.BFLOAT16, FloatDType.FLOAT32
SIMT, CORE = Arm.SIMT, Arm.TENSOR_CORE


def case(rows: int, outputs: int, terms: int = 64, dtype: FloatDType = HALF, blocksize: int = 32) -> Case:
    return Case(
        weight=Weight(out_features=outputs, in_features=terms, dtype=dtype),
        quantization=Quantization(blocksize=blocksize),
        activation=Activation(leading=(rows,)),
    )


def cuda(gpu: Gpu | None = H200, *, rule: bool | None = True, version: str = "0.50.2") -> Library:
    return library(device="cuda", gpu=gpu, rule=rule, version=version)


@pytest.mark.parametrize(
    ("rows", "outputs", "terms", "dtype", "arm"),
    [
        # Three rows are few, whatever the weight; float32 has no tensor core; a k-step is 64.
        (1, 64, 64, HALF, SIMT),
        (3, 65536, 64, HALF, SIMT),
        (3, 65536, 64, BRAIN, SIMT),
        (512, 8192, 64, SINGLE, SIMT),
        (512, 8192, 96, HALF, SIMT),
        (512, 8192, 128, BRAIN, CORE),
        # Four rows: at most 132 blocks of 64 outputs, one for each multiprocessor.
        (4, 132 * 64, 64, HALF, SIMT),
        (4, 132 * 64 + 1, 64, HALF, CORE),
        # Up to eight rows: at most two thirds of 132.
        (5, 88 * 64, 64, HALF, SIMT),
        (5, 88 * 64 + 1, 64, HALF, CORE),
        (8, 88 * 64, 64, BRAIN, SIMT),
        (8, 88 * 64 + 1, 64, BRAIN, CORE),
        # Up to 16 rows: at most a quarter.
        (9, 33 * 64, 64, HALF, SIMT),
        (9, 33 * 64 + 1, 64, HALF, CORE),
        (16, 33 * 64, 64, HALF, SIMT),
        (16, 33 * 64 + 1, 64, HALF, CORE),
        # Up to 32 rows: at most an eighth, which is 16.5.
        (17, 16 * 64, 64, HALF, SIMT),
        (17, 16 * 64 + 1, 64, HALF, CORE),
        (32, 16 * 64, 64, BRAIN, SIMT),
        (32, 16 * 64 + 1, 64, BRAIN, CORE),
        # More rows than that are never too few.
        (33, 1, 64, HALF, CORE),
        (1536, 1, 64, HALF, CORE),
        # Long sums make no difference here.
        (9, 33 * 64 + 1, 8192, HALF, CORE),
        (6, 200 * 64, 64, HALF, CORE),
    ],
)
def test_on_an_h200(rows: int, outputs: int, terms: int, dtype: FloatDType, arm: Arm) -> None:
    assert gemm_arms(case(rows, outputs, terms, dtype), cuda()) == (arm,)


@pytest.mark.parametrize(
    ("gpu", "rows", "outputs", "terms", "dtype", "arm"),
    [
        # A100 and B200 have fast memory as the H200 has: with four rows a block for each multiprocessor.
        (A100, 4, 108 * 64, 64, HALF, SIMT),
        (A100, 4, 108 * 64 + 1, 64, HALF, CORE),
        (A100, 5, 72 * 64, 64, HALF, SIMT),
        (A100, 5, 72 * 64 + 1, 64, HALF, CORE),
        (B200, 4, 148 * 64, 64, BRAIN, SIMT),
        (B200, 4, 148 * 64 + 1, 64, BRAIN, CORE),
        # 8.6, 8.9 and 12.0 with 48 multiprocessors or more take SIMT for four rows.
        (A10, 4, 65536, 64, HALF, SIMT),
        (A10, 5, 48 * 64 + 1, 64, HALF, CORE),
        (SMALL_8_6, 4, 27 * 64, 64, HALF, CORE),
        (SMALL_8_6, 4, 26 * 64, 64, HALF, SIMT),
        (RTX_5090, 4, 65536, 64, HALF, SIMT),
        # 8.9 from 60 multiprocessors on and 12.0 from 48 on take it for six rows if every multiprocessor has a block.
        (RTX_4090, 6, 128 * 64, 64, HALF, SIMT),
        (RTX_4090, 6, 127 * 64, 64, HALF, CORE),
        (RTX_4090, 7, 128 * 64, 64, HALF, CORE),
        (L4, 6, 58 * 64, 64, HALF, CORE),
        (A10, 6, 72 * 64, 64, HALF, CORE),
        (RTX_5090, 6, 170 * 64, 64, HALF, SIMT),
        (RTX_5090, 7, 170 * 64, 64, HALF, CORE),
        # Without fast memory sums longer than there are outputs keep up to 17 rows, below a third of the multiprocessors.
        (RTX_4090, 17, 42 * 64, 43 * 64, HALF, SIMT),
        (RTX_4090, 17, 42 * 64, 42 * 64, HALF, CORE),
        (RTX_4090, 17, 43 * 64, 44 * 64, HALF, CORE),
        (RTX_4090, 18, 42 * 64, 43 * 64, HALF, CORE),
        (H200, 17, 42 * 64, 43 * 64, HALF, CORE),
        (A100, 17, 35 * 64, 36 * 64, HALF, CORE),
        # Turing's tensor cores take float16, older ones are not used.
        (T4, 64, 640, 64, HALF, CORE),
        (T4, 64, 640, 64, BRAIN, SIMT),
        (T4, 4, 26 * 64, 64, HALF, SIMT),
        (T4, 4, 27 * 64, 64, HALF, CORE),
        (V100, 64, 640, 64, HALF, SIMT),
    ],
)
def test_on_other_gpus(gpu: Gpu, rows: int, outputs: int, terms: int, dtype: FloatDType, arm: Arm) -> None:  # noqa: PLR0913, PLR0917
    assert fused_arm(case(rows, outputs, terms, dtype), gpu) is arm
    assert gemm_arms(case(rows, outputs, terms, dtype), cuda(gpu)) == (arm,)


def test_rows_in_several_dimensions_are_counted_together() -> None:
    shape = case(1, 88 * 64 + 1)
    stacked = Case(weight=shape.weight, quantization=shape.quantization, activation=Activation(leading=(2, 4)))
    assert gemm_arms(stacked, cuda()) == (CORE,)
    alone = Case(weight=shape.weight, quantization=shape.quantization, activation=Activation(leading=()))
    assert gemm_arms(alone, cuda()) == (SIMT,)


def test_a_mixed_dtype_goes_by_the_activation() -> None:
    mixed = case(64, 640, dtype=HALF)
    single = Case(weight=mixed.weight, quantization=mixed.quantization, activation=Activation(leading=(64,), dtype=SINGLE))
    assert gemm_arms(single, cuda()) == (SIMT,)


def test_where_upstream_chooses_linear_it_is_linear() -> None:
    assert gemm_arms(case(3, 640), cuda(rule=False)) == (Arm.LINEAR,)
    assert gemm_arms(case(64, 640), cuda(rule=False)) == (Arm.LINEAR,)


@pytest.mark.parametrize("rule", [True, False, None])
def test_too_many_rows_and_blocks_across_rows_are_linear_whatever_the_rule_says(rule: bool | None) -> None:  # noqa: FBT001
    assert MOST_ROWS == 1536
    assert gemm_arms(case(1537, 64), cuda(rule=rule)) == (Arm.LINEAR,)
    assert gemm_arms(case(3, 64, terms=96, blocksize=64), cuda(rule=rule)) == (Arm.LINEAR,)
    assert gemm_arms(case(1, 64, terms=1, blocksize=32), cuda(rule=rule)) == (Arm.LINEAR,)


@pytest.mark.parametrize(
    "loaded",
    [cuda(version="0.51.0"), cuda(version="0.49.2"), cuda(version="0.500.0"), cuda(rule=None), cuda(None)],
    ids=["later", "earlier", "much later", "hidden rule", "unknown gpu"],
)
def test_where_a_rule_is_not_known_every_kernel_is_named(loaded: Library) -> None:
    for shape in (case(3, 64), case(64, 8192), case(512, 8192, dtype=SINGLE)):
        assert gemm_arms(shape, loaded) == ANY_FUSED == (Arm.SIMT, Arm.TENSOR_CORE, Arm.LINEAR)


@pytest.mark.parametrize("rule", [True, False])
def test_on_a_cpu_every_product_is_linear(rule: bool) -> None:  # noqa: FBT001
    for shape in (case(1, 64), case(64, 640)):
        assert gemm_arms(shape, library(rule=rule)) == matmul_arms(shape, library(rule=rule)) == (Arm.LINEAR,)


def test_upstreams_rule_is_asked_with_the_product_it_is_about(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def rule(*arguments: object) -> int:
        asked.append(arguments)
        return len(asked) % 2

    monkeypatch.setitem(sys.modules, "bitsandbytes.backends.cuda", SimpleNamespace(ops=SimpleNamespace(_gemm_4bit_use_custom_fn=rule)))
    plain = Library(version="0.50.2", device="cuda", fused=True, out_variant=False, cpu_repack=False, documented_blocksizes=(64,), gpu=H200)
    assert gemm_arms(case(7, 640, 128, BRAIN), plain) == (SIMT,)
    assert gemm_arms(case(7, 640, 128, BRAIN), plain) == (Arm.LINEAR,)
    assert asked == [(0, torch.bfloat16, 7, 640, 128)] * 2


def test_a_release_that_hides_its_rule_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes.backends.cuda", SimpleNamespace(ops=SimpleNamespace()))
    plain = Library(version="0.50.2", device="cuda", fused=True, out_variant=False, cpu_repack=False, documented_blocksizes=(64,))
    assert plain.chooses_fused(torch.float16, 1, 64, 64) is None


def in_out(shape: Case) -> Case:
    weight = Weight(out_features=shape.weight.out_features, in_features=shape.weight.in_features, dtype=HALF, layout=Layout.IN_OUT)
    return Case(weight=weight, quantization=shape.quantization, activation=shape.activation)


def with_grad(shape: Case) -> Case:
    return Case(weight=shape.weight, quantization=shape.quantization, activation=shape.activation, execution=Execution(grad=True))


def test_matmul_of_0_50_goes_through_the_op_except_for_the_transposed_layout() -> None:
    for shape in (case(3, 640), case(64, 640)):
        assert matmul_arms(shape, cuda()) == gemm_arms(shape, cuda()) == matmul_arms(with_grad(shape), cuda())
        assert matmul_arms(in_out(shape), cuda()) == (Arm.LINEAR,)


@pytest.mark.parametrize(
    ("shape", "arm"),
    [
        (case(1, 640), Arm.GEMV),
        (in_out(case(1, 640)), Arm.GEMV),
        (with_grad(case(1, 640)), Arm.LINEAR),
        (case(2, 640), Arm.LINEAR),
        (case(1, 640, terms=96, blocksize=64), Arm.LINEAR),
    ],
)
def test_matmul_of_earlier_releases_takes_gemv_for_one_row(shape: Case, arm: Arm) -> None:
    assert matmul_arms(shape, LEGACY) == (arm,)
    assert linear_arms(shape, LEGACY) == (arm,)


def test_gemv_runs_the_kernel_of_its_device() -> None:
    for shape in (case(1, 640), case(1, 64, terms=96, blocksize=64)):
        assert gemv_arms(shape, cuda()) == gemv_arms(shape, LEGACY) == (Arm.GEMV,)
        assert gemv_arms(shape, library()) == (Arm.LINEAR,)
        assert gemv_arms(shape, library(cpu_repack=True)) == (Arm.CPU_BF16,)


def test_the_module_repacks_its_weight_on_some_cpus_except_for_training() -> None:
    repacking = library(cpu_repack=True)
    assert linear_arms(case(3, 64), repacking) == (Arm.CPU_BF16,)
    assert linear_arms(with_grad(case(3, 64)), repacking) == (Arm.LINEAR,)
    assert linear_arms(case(3, 64), library()) == (Arm.LINEAR,)
    assert linear_arms(case(3, 640), cuda()) == (SIMT,)


def test_the_releases_whose_rules_are_known_are_those_that_they_were_read_in() -> None:
    assert dispatch.KNOWN_RULES == "0.50."
