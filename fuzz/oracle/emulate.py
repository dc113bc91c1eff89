"""The element-wise roundings of each kernel, done exactly: the weight it multiplies by, and the products it adds.

These roundings do not depend on any order, so they are emulated and not bounded. What the kernels leave to the order
of summation is in `reduction` (any order, a bound) and `ordered` (the kernels' own order, bit for bit).
"""

from __future__ import annotations

from typing import Final

import torch

from fuzz.oracle.arms import Arm
from fuzz.oracle.operands import Nested, Operands

ROUNDS_PRODUCTS: Final = frozenset({Arm.SIMT, Arm.GEMV})
"""Kernels that multiply in the 16-bit dtype (HMUL2): four roundings a term instead of one."""


def dequantized(code: torch.Tensor, scale: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """rn_T(fl32(c * s)): one float32 product, one rounding (`kDequantizeBlockwise`, csrc/kernels.cu). Same shape, in T."""
    return (code * scale).to(dtype)


def weights(arm: Arm, operands: Operands, nested: Nested) -> torch.Tensor:
    """The weight as `arm` multiplies by it, (N, K) in the dtype T of the activation.

    SIMT and GEMV in 16 bit: rn_T(rn_T(c) * rn_T(s)). In float32, and on tensor cores: rn_T(fl32(c * s)). LINEAR: the same,
    rounded to the dtype of the dequantized weight first.
    """
    dtype, scale = operands.activation.dtype, operands.scales[nested]
    if arm in ROUNDS_PRODUCTS and dtype is not torch.float32:
        return operands.code.to(dtype) * scale.to(dtype)
    if arm is Arm.LINEAR:
        return dequantized(operands.code, scale, operands.stored).to(dtype)
    return dequantized(operands.code, scale, dtype)


def products(arm: Arm, activation: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The terms of every sum, (M, N, K).

    SIMT and GEMV in 16 bit: rn_T(x * w), as float32. Otherwise exact, as float64 (two numbers of 24 bits or less).
    """
    x, w = activation[:, None, :], weight[None]
    if arm in ROUNDS_PRODUCTS and activation.dtype is not torch.float32:
        return (x * w).float()
    return x.double() * w.double()
