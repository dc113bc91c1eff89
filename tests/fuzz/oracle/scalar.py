"""The kernels' arithmetic, one number at a time in exact fractions: slow, plain, and written without a look at `fuzz.oracle`.

Facts are those of upstream's csrc/gemm_4bit_simt.cu, `kgemm_4bit_inference_naive` in csrc/kernels.cu, and the tensor-core
model of MMA-Sim (arXiv 2511.10909). Numbers are Python floats that the format in question holds; -0 is 0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch

LANES = 32
PER_LANE = 32
SMALLEST_NORMAL = 2.0**-126


@dataclass(frozen=True)
class Format:
    """An IEEE 754 binary format: bits of the significand, exponents of its normal numbers."""

    bits: int
    smallest: int
    largest: int


FORMATS = {torch.float16: Format(11, -14, 15), torch.bfloat16: Format(8, -126, 127), torch.float32: Format(24, -126, 127)}


def exponent_of(value: Fraction) -> int:
    """The e with 2**e <= |value| < 2**(e + 1)."""
    numerator, denominator = abs(value.numerator), value.denominator
    guess = numerator.bit_length() - denominator.bit_length()
    return guess if Fraction(2) ** guess <= abs(value) else guess - 1


def nearest(value: Fraction, dtype: torch.dtype) -> float:
    """`value` rounded to nearest, ties to even, with subnormal numbers and infinities."""
    if value == 0:
        return 0.0
    made = FORMATS[dtype]
    quantum = Fraction(2) ** (max(exponent_of(value), made.smallest) - made.bits + 1)
    rounded = round(value / quantum) * quantum  # Python rounds halves to even
    return math.copysign(math.inf, value) if abs(rounded) >= Fraction(2) ** (made.largest + 1) else float(rounded)


def nearest_binary(numerator: int, places: int, dtype: torch.dtype) -> float:
    """The same for `numerator` / 2**`places`, in integers, because fractions take ten times as long."""
    made = FORMATS[dtype]
    quantum = max(numerator.bit_length() - 1 - places, made.smallest) - made.bits + 1
    dropped = quantum + places
    if dropped > 0:
        odd = numerator >> dropped & 1
        numerator, places = numerator + (1 << dropped - 1) - 1 + odd >> dropped, -quantum
    if numerator.bit_length() - 1 - places > made.largest:
        return math.copysign(math.inf, numerator)
    return math.ldexp(numerator, -places)


def towards_zero(value: Fraction, dtype: torch.dtype) -> Fraction:
    """`value` cut off to the bits of the format."""
    if value == 0:
        return value
    made = FORMATS[dtype]
    quantum = Fraction(2) ** (max(exponent_of(value), made.smallest) - made.bits + 1)
    return math.trunc(value / quantum) * quantum


def flushed(value: float) -> float:
    """A subnormal float32 number as zero."""
    return 0.0 if abs(value) < SMALLEST_NORMAL else value


def _finite(*values: float) -> bool:
    return all(map(math.isfinite, values))


def _binary(value: float) -> tuple[int, int]:
    """A float as numerator and places."""
    numerator, denominator = value.as_integer_ratio()
    return numerator, denominator.bit_length() - 1


def multiply(x: float, y: float, dtype: torch.dtype) -> float:
    """One product, rounded."""
    if not _finite(x, y):
        return x * y
    (x_numerator, x_places), (y_numerator, y_places) = _binary(x), _binary(y)
    return nearest_binary(x_numerator * y_numerator, x_places + y_places, dtype)


def add(x: float, y: float) -> float:
    """One float32 addition of a kernel built with --use_fast_math."""
    return fused(x, 1.0, y)


def fused(x: float, y: float, total: float) -> float:
    """One float32 fused multiply-add of a kernel built with --use_fast_math."""
    x, y, total = flushed(x), flushed(y), flushed(total)
    if not _finite(x, y, total):
        return x * y + total
    (x_numerator, x_places), (y_numerator, y_places), (numerator, places) = _binary(x), _binary(y), _binary(total)
    deepest = max(x_places + y_places, places)
    exact = (x_numerator * y_numerator << deepest - x_places - y_places) + (numerator << deepest - places)
    return flushed(nearest_binary(exact, deepest, torch.float32))


def kernel_weight(code: float, scale: float, dtype: torch.dtype) -> float:
    """The weight of SIMT and gemv: code and scale rounded to the dtype, then their product."""
    return multiply(_rounded(code, dtype), _rounded(scale, dtype), dtype)


def dequantized_weight(code: float, scale: float, dtype: torch.dtype) -> float:
    """The weight of everything else: a float32 product, rounded to the dtype."""
    return _rounded(multiply(code, scale, torch.float32), dtype)


def _rounded(value: float, dtype: torch.dtype) -> float:
    return nearest(Fraction(value), dtype) if math.isfinite(value) else value


def _owned(lane: int, terms: int) -> list[list[int]]:
    """The terms of a lane, one list for each group of 1024: lane l owns 1024 g + 32 l and the 31 that follow."""
    groups = range(math.ceil(terms / (LANES * PER_LANE)))
    starts = (1024 * group + PER_LANE * lane for group in groups)
    return [[k for k in range(start, start + PER_LANE) if k < terms] for start in starts]


def simt(x: Sequence[float], weight: Sequence[float], dtype: torch.dtype) -> float:
    """The float32 sum of the fused kernel without tensor cores."""
    lanes = [_simt_lane(x, weight, dtype, _owned(lane, len(x))) for lane in range(LANES)]
    return _shuffled(lanes, (16, 8, 4, 2, 1))


def _simt_lane(x: Sequence[float], weight: Sequence[float], dtype: torch.dtype, groups: list[list[int]]) -> float:
    total = 0.0
    for eight in (group[first : first + 8] for group in groups for first in range(0, len(group), 8)):
        if dtype is torch.float32:  # two vectors of four, one element of each in turn
            for place in (0, 4, 1, 5, 2, 6, 3, 7):
                total = fused(x[eight[place]], weight[eight[place]], total)
        else:
            for first, second in zip(eight[::2], eight[1::2], strict=True):
                pair = add(multiply(x[first], weight[first], dtype), multiply(x[second], weight[second], dtype))
                total = add(total, pair)
    return total


def gemv(x: Sequence[float], weight: Sequence[float], dtype: torch.dtype) -> float:
    """The float32 sum of the legacy kernel."""
    lanes = []
    for lane in range(LANES):
        total = 0.0
        for k in itertools.chain.from_iterable(_owned(lane, len(x))):
            single = dtype is torch.float32
            total = fused(x[k], weight[k], total) if single else add(total, multiply(x[k], weight[k], dtype))
        lanes.append(total)
    return _shuffled(lanes, (1, 2, 4, 8, 16))


def _shuffled(lanes: list[float], offsets: Sequence[int]) -> float:
    """A warp's sum: each lane adds what the lane `offset` above holds; without one above it adds its own."""
    for offset in offsets:
        lanes = [add(own, lanes[lane + offset] if lane + offset < LANES else own) for lane, own in enumerate(lanes)]
    return lanes[0]


def tensor_core(x: Sequence[float], weight: Sequence[float], dtype: torch.dtype, terms: int, fraction: int) -> float:
    """The float32 sum of a tensor core that fuses `terms` products and keeps `fraction` bits; finite numbers only."""
    total = Fraction(0)
    for first in range(0, len(x), terms):
        pairs = [(Fraction(a), Fraction(b)) for a, b in zip(x[first : first + terms], weight[first : first + terms], strict=True)]
        addends = [(a * b, _field(a, dtype) + _field(b, dtype)) for a, b in pairs if a * b]
        addends += [(total, _field(total, torch.float32))] if total else []
        if addends:
            quantum = Fraction(2) ** (max(exponent for _, exponent in addends) - fraction)
            cut = sum(math.trunc(addend / quantum) for addend, _ in addends) * quantum
            total = towards_zero(cut, torch.float32)
            total = Fraction(0) if abs(total) < SMALLEST_NORMAL else total
    return float(total)


def _field(value: Fraction, dtype: torch.dtype) -> int:
    """The exponent that a number has in its format: subnormal numbers have that of the smallest normal one."""
    return max(exponent_of(value), FORMATS[dtype].smallest)
