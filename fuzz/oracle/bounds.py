"""A-priori bounds on the rounding error of each kernel's arithmetic, and the interval that an output must lie in.

u is the unit roundoff of the 16-bit dtype, v that of float32, eta the underflow unit, gamma_n(v) = nv / (1 - nv)
(Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1). The arithmetic of each arm was read in
upstream's `csrc/gemm_4bit_simt.cu`, `csrc/gemm_4bit_sm80.cu`, `csrc/kernels.cu` and `backends/triton/kernels_4bit.py`.

The SIMT bound holds for the order in which that kernel's lanes add, the others for any order, and all for every input in
range: they never flag a correct kernel. What lies beyond is definitely wrong.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import torch

from fuzz.oracle.arms import Arm
from fuzz.oracle.model import ErrorModel
from fuzz.oracle.reference import Product
from fuzz.oracle.rounding import FLUSH, OVERFLOW, ROUNDOFF, UNDERFLOW, V, gamma, round_down, round_up

TENSOR_CORE_STEP: Final = 4
TENSOR_CORE_ERROR: Final = 6.0 * 2.0**-23
"""Terms per fused step and its error relative to sum|terms|, for Volta, the weakest tensor core: (n+1) * 2**-F + 2**-23
with n = 4 and F = 23 (Fasi, Higham, Mikaitis, Pranesh, PeerJ CS 330, 2021; MMA-Sim, arXiv 2511.10909)."""

TRITON_CODE: Final = 1e-6
"""Relative error of a code that the Triton kernels write as a decimal: `dequantize_fp4_tree` has 0.00520833 for 0.0625/12 up to
0.50.0, which is 6.4e-7 too small, and from 0.50.1 on decimals that round to the float32 number of the table."""


def _simt(dtype: torch.dtype, terms: int) -> ErrorModel:
    # A lane adds 32 products of every 1024, then five shuffles join 32 lanes; one addition for a bias; one to spare.
    depth = gamma(32 * math.ceil(terms / 1024) + 7, V)
    if dtype is torch.float32:
        return ErrorModel(
            product=gamma(32 * math.ceil(terms / 1024) + 9, V), code=2 * FLUSH, activation=2 * FLUSH, constant=2 * terms * FLUSH
        )
    u, eta = ROUNDOFF[dtype], UNDERFLOW[dtype]
    theta = (1 + u) ** 4 - 1
    return ErrorModel(
        product=theta * (1 + depth) + depth,
        code=(1 + u) ** 3 * eta * (1 + depth),
        activation=(1 + u) * eta * (1 + depth),
        constant=terms * (eta * (1 + depth) + FLUSH),
    )


def _dense(dtype: torch.dtype, terms: int, stored: torch.dtype) -> ErrorModel:
    # Weights are rounded to `stored` (dequantize_4bit: the dtype of the quantized weight), then to `dtype`.
    u, stored_u = ROUNDOFF[dtype], ROUNDOFF[stored]
    weight = (1 + V) * (1 + stored_u) * (1 + u) - 1
    # On 16-bit inputs tensor cores or float32 FMA; the former is the larger. On float32 inputs plain float32.
    steps = gamma(math.ceil(terms / TENSOR_CORE_STEP) + 1, TENSOR_CORE_ERROR)
    reduction = gamma(terms + 2, V) if dtype is torch.float32 else steps
    return ErrorModel(
        product=weight * (1 + reduction) + reduction,
        code=2 * FLUSH,
        activation=2 * (UNDERFLOW[stored] + UNDERFLOW[dtype] + FLUSH),
        # A BLAS may add to what already holds the bias: one more term of the sum.
        bias=reduction,
        constant=2 * terms * FLUSH,
    )


def _cpu_bf16(terms: int) -> ErrorModel:
    # The kernel takes x and the scales in bfloat16, rounds code * scale to bfloat16, sums in float32 (AVX512-BF16 dot
    # products or AMX tiles, which flush subnormals) and rounds the sum to bfloat16 before it becomes the output dtype.
    u = ROUNDOFF[torch.bfloat16]
    theta = (1 + u) ** 4 - 1  # x, code table, scale, weight
    reduction = gamma(terms + 2, V)
    return ErrorModel(
        product=theta * (1 + reduction) + reduction,
        code=4 * FLUSH,
        activation=4 * FLUSH,
        constant=4 * terms * FLUSH,
        late_rounding=u,
        late_underflow=FLUSH,
    )


def _triton_linear(dtype: torch.dtype, terms: int) -> ErrorModel:
    """The model of Triton's `gemv_4bit`.

    `dequant_4bit_body_util` multiplies an entry of the caller's code table by a scale, both float32: fl32(c * s). The store of
    `dequant_4bit_kernel` rounds that to the activation's dtype T, and `torch.nn.functional.linear` multiplies by the result. So
    the weight is rn_T(fl32(c * s)), as if it had been stored in float32 on the way, and the rest is a dense product.
    """
    return _dense(dtype, terms, torch.float32)


def error_model(arms: Iterable[Arm], dtype: torch.dtype, terms: int, stored: torch.dtype, *, bias: bool) -> ErrorModel:
    """The model for the weakest of `arms`.

    Args:
        arms: the kernels that may have run.
        dtype: of activation and output.
        terms: in_features, the length of the sum.
        stored: dtype that the quantized weight had, to which some paths round before they round to `dtype`.
        bias: whether a bias was added, possibly to a product that was already rounded to `dtype`.
    """
    models = {
        Arm.SIMT: lambda: _simt(dtype, terms),
        Arm.GEMV: lambda: _simt(dtype, terms),
        Arm.TENSOR_CORE: lambda: _dense(dtype, terms, stored),
        Arm.LINEAR: lambda: _dense(dtype, terms, stored),
        Arm.CPU_BF16: lambda: _cpu_bf16(terms),
        Arm.TRITON_LINEAR: lambda: _triton_linear(dtype, terms),
    }
    model = functools.reduce(ErrorModel.union, (models[arm]() for arm in arms))
    if not bias:
        return model
    late = ErrorModel(late_rounding=model.late_rounding + ROUNDOFF[dtype], late_underflow=model.late_underflow + UNDERFLOW[dtype])
    return model.union(late)


def dequantize_model(dtype: torch.dtype) -> ErrorModel:
    """The model of `dequantize_4bit`: one float32 product, rounded to `dtype` (the last rounding is the interval's)."""
    return ErrorModel(product=V * (1 + V) + (0.0 if dtype is torch.float32 else V), constant=2 * FLUSH)


def triton_dequantize_model(dtype: torch.dtype) -> ErrorModel:
    """The model of Triton's `dequantize_4bit`: the same product, of codes that the kernel writes itself.

    `dequantize_nf4_tree` gives the entries of the table, `dequantize_fp4_tree` decimals (`TRITON_CODE`) times a sign, which is
    exact. `dequant_nf4_body_util` and `dequantize_fp4_tree` multiply that by the scale in float32, and the store of their
    kernels rounds to `dtype`. With |c' - c| <= t |c|, |fl32(c' s) - c s| <= ((1 + t)(1 + v) - 1) |c s|.
    """
    plain = dequantize_model(dtype)
    return dataclasses.replace(plain, product=(1 + plain.product) * (1 + TRITON_CODE) - 1)


@dataclass(frozen=True, slots=True)
class Interval:
    """Where an output must lie: float64 `value`, `error` before the last rounding, `low` and `high` in the output dtype.

    `finite` is false where an intermediate result may overflow legitimately; there a non-finite output is accepted.
    """

    value: torch.Tensor
    error: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    finite: torch.Tensor


def narrowest(arms: Iterable[Arm], dtype: torch.dtype) -> torch.dtype:
    """The dtype of the smallest range that a kernel of `arms` holds anything in before it has its sum.

    Args:
        arms: the kernels that may have run.
        dtype: of activation and output.
    """
    return torch.bfloat16 if set(arms) == {Arm.CPU_BF16} and dtype is torch.float16 else dtype


def interval(product: Product, model: ErrorModel, dtype: torch.dtype, inner: torch.dtype | None = None) -> Interval:
    """The interval of every output, after rounding to `dtype`.

    The kernel's float32 result lies within `error` of `value`, and rounding to nearest is monotone, so the output lies
    between the rounded ends.

    Args:
        product: the reference.
        model: the bound.
        dtype: of the output.
        inner: the dtype that scales, weights and sums on the way have the range of (`narrowest`); `dtype` unless given.
    """
    inner = inner or dtype
    value, error = product.value, _sum_error(product, model)
    rounded_early = value.abs()
    if product.bias is not None:
        error = error + model.bias * product.bias.abs()
        value = value + product.bias
        rounded_early = torch.maximum(rounded_early, value.abs())
        error = error + V * (value.abs() + error)
    error = error + model.late_rounding * (rounded_early + error) + model.late_underflow
    # The reference itself: a float64 sum of exact products.
    error = error * (1 + 2.0**-40) + product.terms * 2.0**-53 * product.magnitude
    # A partial sum is at most sum|x||w|; where neither that nor a scale that is rounded to the dtype can overflow, with
    # one per cent of room for roundings (4u is 0.2 % in float16; the other dtypes are nowhere near their limits), nothing can.
    finite = product.magnitude * 1.01 < OVERFLOW[inner]
    if not product.largest_scale * 1.01 < OVERFLOW[inner]:
        finite = torch.zeros_like(finite)
    if product.bias is not None:  # it may be added to a sum that was rounded to the output's dtype
        finite &= product.value.abs() + error < OVERFLOW[dtype]
    return Interval(value, error, round_down(value - error, dtype), round_up(value + error, dtype), finite)


def _sum_error(product: Product, model: ErrorModel) -> torch.Tensor:
    return (
        model.product * product.magnitude
        + product.scale_error
        + product.flushed
        + model.code * product.code_magnitude
        + model.activation * product.activation_magnitude
        + model.constant
    )
