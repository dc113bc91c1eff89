"""The sum that is left once the element-wise roundings are emulated: its exact value, and how far a kernel may be off.

Every bound follows one recursion. A step that makes a rounding error of at most `delta` times its exact result, or
`local` in all, from operands that are already off by e, is off by at most (1 + delta) * e + local; so after J steps in
a row by at most (1 + delta)**J times the sum of all local errors (Higham, Accuracy and Stability, 2nd ed., section 3.3,
the running error bound, made rigorous). Exact partial sums instead of sum|p| make it sharp where terms cancel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch

from fuzz.oracle.arms import Arm
from fuzz.oracle.bounds import TENSOR_CORE_ERROR, TENSOR_CORE_STEP
from fuzz.oracle.emulate import products, weights
from fuzz.oracle.operands import Nested, Operands
from fuzz.oracle.ordered import LANES, PER_LANE
from fuzz.oracle.rounding import FLUSH, V, gamma, power_of_two
from fuzz.oracle.tensor_core import TensorCore, exponents

DOUBLE: Final = 2.0**-53
"""Unit roundoff of float64, in which the reference itself adds."""

EXACT_BITS: Final = 22
"""If all terms are multiples of q and sum|p| <= 2**22 q, then every partial sum is exact on every arm, in any order:
float32 holds 24 bits, and the weakest tensor core keeps 23 below an exponent that is at most that of sum|p|."""

LARGEST: Final = 1e38
"""Above this sum|p| a partial sum may overflow in float32; nothing is said about such an output."""


@dataclass(frozen=True, slots=True)
class Sums:
    """The exact sum of the emulated terms and the largest error of the kernel's float32 sum, float64, (M, N).

    `value` is NaN or infinite where IEEE 754 makes the sum so; `known` (bool) is false where a partial sum may overflow.
    """

    value: torch.Tensor
    error: torch.Tensor
    known: torch.Tensor


def sums(arm: Arm, operands: Operands, nested: Nested, core: TensorCore) -> Sums:
    """The sums of `arm` over the emulated terms.

    Args:
        arm: SIMT, GEMV, TENSOR_CORE or LINEAR.
        operands: M rows, N outputs, K terms; memory is a few float64 numbers for each of M * N * K terms.
        nested: how compressed scales are evaluated.
        core: for TENSOR_CORE.

    Raises:
        ValueError: the arm has no emulation.
    """
    weight = weights(arm, operands, nested)
    x = operands.activation
    if arm is Arm.LINEAR:
        value, magnitude = x.double() @ weight.double().t(), x.double().abs() @ weight.double().abs().t()
        if operands.bias is not None:  # a BLAS may add to what already holds the bias: one more term of the sum
            magnitude = magnitude + operands.bias.double().abs()
        error = _any_order(x.shape[-1], x.dtype) * magnitude + x.shape[-1] * 2 * FLUSH
    elif arm in (Arm.SIMT, Arm.GEMV, Arm.TENSOR_CORE):
        terms = products(arm, x, weight).double()
        value, magnitude = terms.sum(-1), torch.where(terms.isfinite(), terms.abs(), 0.0).sum(-1)
        error = _fused_steps(terms, _ceilings(x, weight, terms), core) if arm is Arm.TENSOR_CORE else _by_lane(arm, terms, x.dtype)
    else:
        raise ValueError(f"{arm.value} has no emulation")
    if arm in (Arm.SIMT, Arm.GEMV) and x.dtype is torch.float32:
        # One product that is not zero is rounded once, by the fused multiply-add that takes it.
        error = torch.where(((x != 0).sum(-1) <= 1)[:, None], V * magnitude + FLUSH, error)
    error = torch.where(_exact(arm, operands, weight, magnitude), 0.0, error * (1 + 2.0**-30) + x.shape[-1] * DOUBLE * magnitude)
    return Sums(value, error, ~(magnitude > LARGEST))


def _exact(arm: Arm, operands: Operands, weight: torch.Tensor, magnitude: torch.Tensor) -> torch.Tensor:
    """Whether nothing is rounded in a sum, whatever its order, (M, N) bool."""
    x = operands.activation
    quantum = _quantum(x)[:, None] * _quantum(weight)[None]
    if arm is Arm.LINEAR and operands.bias is not None:
        quantum = torch.minimum(quantum, _quantum(operands.bias[:, None])[None])
    # Multiples of the smallest normal float32 are never flushed.
    exact = (magnitude <= 2.0**EXACT_BITS * quantum) & (quantum >= FLUSH)
    if arm in (Arm.LINEAR, Arm.TENSOR_CORE) and x.dtype is torch.float16:  # see `_ceilings`
        exact &= ~(_has_subnormal(x)[:, None] | _has_subnormal(weight)[None])
    if arm is not Arm.LINEAR and x.dtype is not torch.float32:
        # One product of 16-bit numbers that is not zero is added to zeros, whatever its bits; in float32 it is rounded.
        exact |= ((x != 0).sum(-1) <= 1)[:, None] & ((magnitude == 0) | (magnitude >= FLUSH))
    return exact & magnitude.isfinite()


def _has_subnormal(value: torch.Tensor) -> torch.Tensor:
    return ((value != 0) & (value.abs() < torch.finfo(value.dtype).tiny)).any(-1)


def _ceilings(x: torch.Tensor, weight: torch.Tensor, terms: torch.Tensor) -> torch.Tensor:
    """2**(sum of the exponents) of every product, (M, N, K): what a tensor core aligns to, 0 where the product is 0.

    At most |product| for normal factors. A subnormal float16 keeps the exponent -14, so that it lies above.
    """
    lifted = (power_of_two(exponents(part, part.dtype)) for part in (x, weight))
    first, second = lifted
    return torch.where(terms == 0, 0.0, first[:, None, :] * second[None])


def _any_order(terms: int, dtype: torch.dtype) -> float:
    """Error of a float32 sum of `terms` exact products relative to sum|p|, on the weakest tensor core or by FMA."""
    if dtype is torch.float32:
        return gamma(terms + 1, V)
    return gamma(math.ceil(terms / TENSOR_CORE_STEP) + 1, TENSOR_CORE_ERROR)


def _by_lane(arm: Arm, terms: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """V times every exact partial result of 32 lanes and their tree, times what the steps after it may add.

    One float32 rounding for each addition (or fused multiply-add), and at most `FLUSH` for each flushed result.
    """
    padded = torch.nn.functional.pad(terms, (0, -terms.shape[-1] % (LANES * PER_LANE)))
    steps = padded.reshape(*terms.shape[:-1], -1, LANES, PER_LANE).transpose(-3, -2).flatten(-2)  # M, N, lane, step
    additions = steps.shape[-1]
    paired = arm is Arm.SIMT and dtype is not torch.float32
    pairs = steps.reshape(*steps.shape[:-1], -1, 2).sum(-1) if paired else steps
    partial = pairs.cumsum(-1).abs().sum((-2, -1)) + (pairs.abs().sum((-2, -1)) if paired else 0.0)
    if arm is Arm.SIMT and dtype is torch.float32:
        # The order within eight is another one (`ordered`), so that inner partial sums are bounded by sum|p| of the eight.
        eights = steps.reshape(*steps.shape[:-1], -1, 8)
        before = (eights.sum(-1).cumsum(-1) - eights.sum(-1)).abs()
        partial = (8 * (before + eights.abs().sum(-1))).sum((-2, -1))
    lanes = steps.sum(-1)
    for offset in (16, 8, 4, 2, 1) if arm is Arm.SIMT else (1, 2, 4, 8, 16):
        # Only lanes that end in lane 0 matter, but all may be counted: the bound is then larger than need be.
        lanes = lanes + torch.cat((lanes[..., offset:], torch.zeros_like(lanes[..., :offset])), dim=-1)
        partial = partial + _feeding(lanes, arm, offset)
    depth = additions + 6
    return V * (1 + gamma(depth, V)) * partial + (2 * terms.shape[-1] + LANES) * FLUSH


def _feeding(lanes: torch.Tensor, arm: Arm, offset: int) -> torch.Tensor:
    """Sum of |partial| over the lanes that reach lane 0 after the step with `offset`."""
    taken = lanes[..., :offset] if arm is Arm.SIMT else lanes[..., :: 2 * offset]
    return taken.abs().sum(-1)


def _fused_steps(terms: torch.Tensor, ceilings: torch.Tensor, core: TensorCore) -> torch.Tensor:
    """Each step cuts off n products and the sum so far, 2**-F of the largest each, and the result, 2**-23 of it."""
    short = (0, -terms.shape[-1] % core.terms)
    padded, ceiling = (torch.nn.functional.pad(part, short).reshape(*terms.shape[:-1], -1, core.terms) for part in (terms, ceilings))
    after = padded.sum(-1).cumsum(-1)
    before = after - padded.sum(-1)
    largest = torch.maximum(before.abs(), ceiling.amax(-1))
    local = (core.terms + 1) * 2.0**-core.fraction * largest + 2.0**-23 * after.abs() + FLUSH
    return local.sum(-1) * (1 + gamma(padded.shape[-2], core.error))


def _quantum(value: torch.Tensor) -> torch.Tensor:
    """For each row the largest power of two that divides all of its numbers, float64; infinite for a row of zeros."""
    mantissa, exponent = torch.frexp(value.double())
    bits = torch.where(mantissa.isfinite(), mantissa * 2.0**53, 0.0).long()
    quantum = (bits & -bits).double() * power_of_two(exponent - 53)
    return torch.where(value == 0, math.inf, quantum).amin(-1)
