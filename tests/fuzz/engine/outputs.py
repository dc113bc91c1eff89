"""Outputs of products made by hand, by the scalar emulation of each kernel, and calibrations made up for them."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import torch

from fuzz.engine.calls import Prepared
from fuzz.oracle.arms import Arm
from fuzz.oracle.calibration import Calibration, Row
from fuzz.oracle.codebooks import CODES
from fuzz.oracle.operands import Nested
from strategies.case import Layout
from tests.fuzz.oracle import scalar

DTYPES = [torch.float32, torch.float16, torch.bfloat16]
HALVES = [torch.float16, torch.bfloat16]
HOPPER = (16, 25)
"""Terms of a fused step and bits that are kept, of the GPU that these tests pretend to have."""


def weights_of(prepared: Prepared, arm: Arm) -> list[list[float]]:
    """The weight that a kernel multiplies by, (out_features, in_features)."""
    dtype = prepared.activation.dtype
    rounded = scalar.kernel_weight if arm in (Arm.SIMT, Arm.GEMV) and dtype is not torch.float32 else scalar.dequantized_weight
    table = torch.tensor(CODES[prepared.case.quantization.quant_type]).tolist()
    nibbles = [half for byte in prepared.packed.flatten().tolist() for half in (byte // 16, byte % 16)]
    scales = prepared.state.absmax.tolist()
    rows, columns = prepared.case.weight.stored_shape
    flat = [rounded(table[nibbles[k]], scales[k // prepared.case.quantization.blocksize], dtype) for k in range(rows * columns)]
    stored = [flat[row * columns : (row + 1) * columns] for row in range(rows)]
    return stored if prepared.case.weight.layout is Layout.OUT_IN else [list(column) for column in zip(*stored, strict=True)]


def output_of(prepared: Prepared, arm: Arm, *, late_bias: bool = False) -> torch.Tensor:
    """What a right kernel returns."""
    x, weight, dtype = prepared.activation, weights_of(prepared, arm), prepared.activation.dtype
    if arm is Arm.LINEAR:
        return torch.nn.functional.linear(x, torch.tensor(weight).to(dtype), prepared.bias)
    rows = x.reshape(-1, x.shape[-1]).tolist()
    sums = [[_sum(arm, row, column, dtype) for column in weight] for row in rows]
    biases = [0.0] * len(weight) if prepared.bias is None else prepared.bias.tolist()
    finished = [[_finish(total, bias, dtype, late_bias=late_bias) for total, bias in zip(row, biases, strict=True)] for row in sums]
    return torch.tensor(finished).to(dtype).reshape(prepared.case.output_shape)


def _sum(arm: Arm, x: list[float], weight: list[float], dtype: torch.dtype) -> float:
    if arm is Arm.TENSOR_CORE:
        return scalar.tensor_core(x, weight, dtype, *HOPPER)
    return {Arm.SIMT: scalar.simt, Arm.GEMV: scalar.gemv}[arm](x, weight, dtype)


def _finish(total: float, bias: float, dtype: torch.dtype, *, late_bias: bool) -> float:
    return scalar.add(scalar.nearest(Fraction(total), dtype), bias) if late_bias else scalar.add(total, bias)


def calibration(*, different: int = 0, outside: int = 0, without: Iterable[tuple[Arm, torch.dtype]] = ()) -> Calibration:
    """A calibration of every kernel with these counts."""
    missing = set(without)
    kernels = (Arm.SIMT, Arm.GEMV, Arm.TENSOR_CORE, Arm.LINEAR, Arm.DEQUANTIZE)
    return Calibration(
        device="a device for tests",
        capability="9.0",
        release="0.50.2",
        system={},
        rows=tuple(
            Row(
                arm=arm,
                dtype=str(dtype).removeprefix("torch."),
                nested=(Nested.SEPARATE,),
                outputs=1000,
                outside_bound=0,
                outside_interval=outside,
                different=different,
            )
            for arm in kernels
            for dtype in DTYPES
            if (arm, dtype) not in missing
        ),
    )
