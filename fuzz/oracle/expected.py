"""What an output may be: the interval of the kernel's own arithmetic, or the one bit pattern where its order is known."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import torch

from fuzz.oracle.arms import Arm
from fuzz.oracle.operands import Nested, Operands
from fuzz.oracle.ordered import accumulate, finish
from fuzz.oracle.reduction import Sums, sums
from fuzz.oracle.rounding import ceil_float32, floor_float32, flush
from fuzz.oracle.tensor_core import VOLTA, TensorCore

CHUNK: Final = {"cpu": 2**21, "cuda": 2**25}
"""Terms that are emulated at once, by device type; each takes about 80 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """One way in which a product may have been computed.

    Attributes:
        nested: how compressed scales are evaluated.
        core: the tensor core's model; the weakest where none is known.
        ordered: the order of sums is known and was confirmed on this device, so that there is one right bit pattern.
        late_bias: the bias is added to the rounded product, as a second operation.
    """

    arm: Arm
    nested: Nested = Nested.SEPARATE
    core: TensorCore = VOLTA
    ordered: bool = False
    late_bias: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """The smallest and the largest right output, both in the output's dtype, (M, N). NaN where NaN is expected.

    `value` and `error` are the exact sum of the emulated terms and its bound before bias and output rounding, float64.
    `unknown` (bool): nothing is said about this output, and everything is right.
    """

    low: torch.Tensor
    high: torch.Tensor
    value: torch.Tensor
    error: torch.Tensor
    unknown: torch.Tensor

    def holds(self, output: torch.Tensor) -> torch.Tensor:
        """Whether each output is right (bool). -0 equals +0."""
        inside = (output >= self.low) & (output <= self.high)
        return inside | (output.isnan() & self.low.isnan()) | self.unknown


def expected(arithmetic: Arithmetic, operands: Operands) -> Expected:
    """What `arithmetic` gives for `operands`; computed in parts, so that memory is bounded."""
    # An ordered tensor core holds the terms of one step at a time, everything else all of them.
    held = arithmetic.core.terms if arithmetic.ordered and arithmetic.arm is Arm.TENSOR_CORE else operands.code.shape[1]
    parts = [_expected(arithmetic, part) for part in _parts(operands, held)]
    joined = (torch.cat([getattr(part, item.name) for part in parts], dim=-1) for item in dataclasses.fields(Expected))
    return Expected(*joined)


def any_of(choices: Iterable[Expected], output: torch.Tensor) -> torch.Tensor:
    """Whether each output (M, N) is right by one of `choices`, (M, N) bool: where it is not known what ran, all that may have."""
    return functools.reduce(torch.logical_or, (choice.holds(output) for choice in choices))


def _parts(operands: Operands, terms: int) -> Iterator[Operands]:
    outputs = len(operands.code)
    step = max(1, CHUNK[operands.activation.device.type] // max(len(operands.activation) * terms, 1))
    for first in range(0, outputs, step):
        yield operands.columns(first, first + step)


def _expected(arithmetic: Arithmetic, operands: Operands) -> Expected:
    if arithmetic.ordered:
        total = accumulate(arithmetic.arm, operands, arithmetic.nested, arithmetic.core)
        value = total.double()
        return _rounded(arithmetic, operands, Sums(value, torch.zeros_like(value), torch.ones_like(value, dtype=torch.bool)))
    return _rounded(arithmetic, operands, sums(arithmetic.arm, operands, arithmetic.nested, arithmetic.core))


def _rounded(arithmetic: Arithmetic, operands: Operands, total: Sums) -> Expected:
    """Bias and output rounding are monotone, so the ends of the interval go through them as the output does."""
    sure = total.value.isfinite()
    low = torch.where(sure, ceil_float32(total.value - total.error), total.value.float())
    high = torch.where(sure, floor_float32(total.value + total.error), total.value.float())
    if arithmetic.arm is Arm.LINEAR:
        low, high = _linear_ends(low, high, operands)
    else:
        low, high = (_output(end, operands, late_bias=arithmetic.late_bias) for end in (low, high))
    # Nothing is said where a partial sum may overflow, and of infinities and NaN in an order that is not known.
    unknown = ~total.known | (~sure if arithmetic.arm is Arm.LINEAR else torch.zeros_like(sure))
    infinite = torch.full_like(low, math.inf)
    return Expected(torch.where(unknown, -infinite, low), torch.where(unknown, infinite, high), total.value, total.error, unknown)


def _output(total: torch.Tensor, operands: Operands, *, late_bias: bool) -> torch.Tensor:
    """The output for a float32 sum: the bias is added in float32, and rounded once, or twice if it comes late."""
    dtype = operands.activation.dtype
    if late_bias and operands.bias is not None:
        return (flush(total).to(dtype).float() + operands.bias.float()).to(dtype)
    return finish(flush(total), operands.bias, dtype)


def _linear_ends(low: torch.Tensor, high: torch.Tensor, operands: Operands) -> tuple[torch.Tensor, torch.Tensor]:
    """Hull of the two ways in which torch.nn.functional.linear adds a bias: in the epilogue, or to the rounded product."""
    ends = [_output(end, operands, late_bias=late) for end in (low, high) for late in (False, True)]
    return torch.minimum(ends[0], ends[1]), torch.maximum(ends[2], ends[3])
