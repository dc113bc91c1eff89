"""IEEE 754 roundings, done exactly: unit roundoffs, directed conversions, a fused multiply-add, flushing.

torch converts float64 to a 16-bit dtype through float32, to nearest both times, which rounds twice (1 + 2**-11 + 2**-40
becomes 1.0 in float16 and should be 1 + 2**-10). Everything that must be right to the last bit goes through here.
All functions work on any device, element by element.
"""

from __future__ import annotations

import math
from typing import Final

import torch

V: Final = 2.0**-24
"""Unit roundoff of float32."""

FLUSH: Final = 2.0**-126
"""Smallest normal float32: kernels built with --use_fast_math flush what is below to zero, one such error a step."""

ROUNDOFF: Final = {torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8, torch.float32: V}
"""Unit roundoff u of a dtype: rounding to nearest changes a normal number x by at most u|x|."""

UNDERFLOW: Final = {torch.float16: 2.0**-25, torch.bfloat16: FLUSH, torch.float32: FLUSH}
"""Largest error of rounding what is not normal: half of float16's smallest subnormal; where it is flushed, all of it."""

OVERFLOW: Final = {torch.float16: 65520.0, torch.bfloat16: 3.39e38, torch.float32: 3.40e38}
"""From here on a number may round to infinity; for bfloat16 and float32 a little less than the exact limit."""


def gamma(steps: float, unit: float) -> float:
    """n*u / (1 - n*u), the bound on n accumulated roundings (Higham, Accuracy and Stability, 2nd ed., lemma 3.1)."""
    return steps * unit / (1.0 - steps * unit)


def power_of_two(exponent: torch.Tensor) -> torch.Tensor:
    """2**exponent in float64, exact, for integers from -1022 to 1023 (torch.ldexp goes through a float32 power)."""
    return ((exponent.long() + 1023) << 52).view(torch.float64)


def ceil_float32(value: torch.Tensor) -> torch.Tensor:
    """The smallest float32 number >= `value` (float64)."""
    single = value.float()
    return torch.where(single.double() < value, torch.nextafter(single, torch.full_like(single, math.inf)), single)


def floor_float32(value: torch.Tensor) -> torch.Tensor:
    """The largest float32 number <= `value` (float64)."""
    single = value.float()
    return torch.where(single.double() > value, torch.nextafter(single, torch.full_like(single, -math.inf)), single)


def round_down(value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The smallest output that a float32 number >= `value` (float64) can round to: up to float32, then nearest."""
    return ceil_float32(value).to(dtype)


def round_up(value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The largest output that a float32 number <= `value` (float64) can round to: down to float32, then nearest."""
    return floor_float32(value).to(dtype)


def towards_zero_float32(value: torch.Tensor) -> torch.Tensor:
    """`value` (float64) cut off to float32."""
    return torch.where(value > 0, floor_float32(value), ceil_float32(value))


def to_odd(total: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
    """The exact number `total + rest` rounded to odd in float64, where `total` is its nearest float64.

    Of the two float64 numbers around an inexact value the one with an odd last bit is taken. A later rounding to a
    format with at most 51 bits is then the rounding of the exact number (Boldo, Melquiond, IEEE TC 57(4), 2008).
    """
    even = (total.view(torch.int64) & 1) == 0
    neighbour = torch.nextafter(total, torch.where(rest > 0, math.inf, -math.inf).to(total))
    return torch.where((rest != 0) & even, neighbour, total)


def exact_sum(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Nearest float64 of `first + second` and what is left of the exact sum (Knuth's TwoSum); the rest is 0 if infinite."""
    total = first + second
    part = total - first
    rest = (first - (total - part)) + (second - part)
    return total, torch.where(total.isfinite(), rest, 0.0)


def multiply_add(x: torch.Tensor, y: torch.Tensor, addend: torch.Tensor) -> torch.Tensor:
    """X * y + addend with one rounding to nearest, all float32: what FFMA computes, before flushing.

    The product of two float32 numbers is exact in float64.
    """
    return to_odd(*exact_sum(x.double() * y.double(), addend.double())).float()


def flush(value: torch.Tensor) -> torch.Tensor:
    """Subnormal float32 numbers as zero (PTX `.ftz`, which --use_fast_math turns on)."""
    return torch.where(value.abs() < FLUSH, torch.zeros_like(value), value)
