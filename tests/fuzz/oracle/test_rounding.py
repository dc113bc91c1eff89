"""Roundings against exact fractions, Python's own conversions and the C library's fused multiply-add."""

from __future__ import annotations

import ctypes
import math
import struct
import sys
from fractions import Fraction

import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st

from fuzz.oracle import rounding
from fuzz.oracle.rounding import (
    FLUSH,
    OVERFLOW,
    ROUNDOFF,
    UNDERFLOW,
    ceil_float32,
    exact_sum,
    floor_float32,
    flush,
    gamma,
    multiply_add,
    power_of_two,
    round_down,
    round_up,
    to_odd,
    towards_zero_float32,
)
from tests.fuzz.oracle.scalar import nearest, towards_zero

DTYPES = [torch.float32, torch.float16, torch.bfloat16]
LARGEST = {torch.float16: 65504.0, torch.bfloat16: float(torch.finfo(torch.bfloat16).max), torch.float32: float(torch.finfo().max)}

doubles = st.floats(allow_nan=False, allow_infinity=False)
singles = st.floats(allow_nan=False, allow_infinity=False, width=32)
halves = st.floats(allow_nan=False, allow_infinity=False, width=16)


def beside(single: float, part: float, bits: int) -> float:
    """A number a part of the way from a float32 number to the next one, give or take 2**-bits of the way."""
    following = float(torch.nextafter(torch.tensor(single), torch.tensor(math.inf)))
    return single + (following - single) * (part + 2.0**-bits)


near_singles = st.builds(beside, singles.filter(lambda x: abs(x) < 1e38), st.sampled_from([0.0, 0.25, 0.5, 0.75]), st.integers(1, 40))
"""Numbers next to float32 numbers and next to the middles between them, where a rounding can go wrong."""
any_number = doubles | near_singles | st.builds(float, singles) | st.floats(min_value=-(2.0**-120), max_value=2.0**-120)


def double(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def single(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)


def _next(value: float, towards: float) -> float:
    """The neighbouring float32 number, by its bits."""
    return float(torch.nextafter(single(value), single(towards)))


@given(any_number)
@example(2.0**-149 * 0.5)
@example(-(2.0**-149) * 0.5)
@example(2.0**-126 - 2.0**-160)
@example(3.4028235677973366e38)  # the middle of the largest number and 2**128
def test_ceil_and_floor_are_the_float32_numbers_beside(value: float) -> None:
    above, below = float(ceil_float32(double(value))), float(floor_float32(double(value)))
    assert below <= value <= above
    assert _next(above, -math.inf) < value or above == -math.inf
    assert _next(below, math.inf) > value or below == math.inf
    assert (above == below) == (float(single(value)) == value)


@given(any_number)
def test_what_is_cut_off_is_the_end_that_is_nearer_to_zero(value: float) -> None:
    largest = LARGEST[torch.float32]
    cut = float(towards_zero_float32(double(value)))
    assert Fraction(cut) == towards_zero(Fraction(min(max(value, -largest), largest)), torch.float32)


@given(any_number, st.sampled_from(DTYPES))
@example(1 + 2.0**-11 + 2.0**-40, torch.float16)
@example(-(1 + 2.0**-11 + 2.0**-40), torch.float16)
@example(1 + 2.0**-8 + 2.0**-40, torch.bfloat16)
@example(2.0**-25 + 2.0**-70, torch.float16)
@example(65519.99999, torch.float16)
def test_rounding_is_directed_to_float32_and_then_to_nearest(value: float, dtype: torch.dtype) -> None:
    above, below = float(ceil_float32(double(value))), float(floor_float32(double(value)))
    for end, rounded in ((above, round_down(double(value), dtype)), (below, round_up(double(value), dtype))):
        assert rounded.dtype == dtype
        assert float(rounded) == (nearest(Fraction(end), dtype) if math.isfinite(end) else end)


def test_rounding_is_not_done_twice() -> None:
    """1 + 2**-11 + 2**-40 lies above the middle of 1 and its successor in float16; float32 to nearest drops the 2**-40."""
    trap = double(1 + 2.0**-11 + 2.0**-40)
    assert float(trap.half()) == 1.0  # what torch does: twice to nearest
    assert float(round_down(trap, torch.float16)) == 1 + 2.0**-10
    assert float(round_up(trap, torch.float16)) == 1.0  # the largest float32 below is the middle itself: ties to even
    assert float(round_down(-trap, torch.float16)) == -1.0
    assert float(round_up(-trap, torch.float16)) == -(1 + 2.0**-10)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rounding_goes_nowhere_from_a_number_that_the_dtype_has(dtype: torch.dtype) -> None:
    values = single(0.0, 1.0, -1.5, 2.0**-14, 65504.0, math.inf, -math.inf).to(dtype)
    assert torch.equal(round_down(values.double(), dtype), values)
    assert torch.equal(round_up(values.double(), dtype), values)


@pytest.mark.parametrize(
    ("value", "dtype", "down", "up"),
    [
        (65519.9, torch.float16, 65504.0, 65504.0),
        (65520.0, torch.float16, math.inf, math.inf),
        (1e300, torch.float16, math.inf, math.inf),
        (-1e300, torch.float16, -math.inf, -math.inf),
        (1e300, torch.float32, math.inf, 3.4028234663852886e38),
        (-1e300, torch.float32, -3.4028234663852886e38, -math.inf),
        (1e-300, torch.float32, 2.0**-149, 0.0),
        (-1e-300, torch.float32, 0.0, -(2.0**-149)),
        (1e-300, torch.float16, 0.0, 0.0),
        (2.0**-25, torch.float16, 0.0, 0.0),
        (2.0**-25 + 2.0**-70, torch.float16, 2.0**-24, 0.0),
        (math.inf, torch.float32, math.inf, math.inf),
        (-math.inf, torch.bfloat16, -math.inf, -math.inf),
    ],
)
def test_rounding_at_the_ends_of_the_range(value: float, dtype: torch.dtype, down: float, up: float) -> None:
    assert float(round_down(double(value), dtype)) == down
    assert float(round_up(double(value), dtype)) == up


def test_nan_stays_nan() -> None:
    for function in (ceil_float32, floor_float32, towards_zero_float32):
        assert bool(function(double(math.nan)).isnan())
    for dtype in DTYPES:
        assert bool(round_down(double(math.nan), dtype).isnan())
        assert bool(round_up(double(math.nan), dtype).isnan())


@given(st.floats(min_value=-70000, max_value=70000, width=32), st.floats(min_value=0, max_value=1), st.sampled_from(DTYPES))
def test_whatever_float32_lies_between_the_ends_is_rounded_into_the_interval(number: float, error: float, dtype: torch.dtype) -> None:
    output = single(number).to(dtype)
    assert bool(round_down(double(number) - error, dtype) <= output)
    assert bool(output <= round_up(double(number) + error, dtype))


@given(doubles, doubles)
def test_an_exact_sum_is_the_nearest_number_and_what_is_left_of_it(first: float, second: float) -> None:
    assume(math.isfinite(first + second))
    assume(max(abs(first), abs(second)) < 1e300)  # TwoSum itself must not overflow
    total, rest = exact_sum(double(first), double(second))
    assert float(total) == first + second
    assert Fraction(float(total)) + Fraction(float(rest)) == Fraction(first) + Fraction(second)


@pytest.mark.parametrize(("first", "second"), [(1e308, 1e308), (math.inf, 1.0), (math.inf, -math.inf), (math.nan, 1.0)])
def test_nothing_is_left_of_a_sum_that_is_not_finite(first: float, second: float) -> None:
    total, rest = exact_sum(double(first), double(second))
    assert not bool(total.isfinite())
    assert float(rest) == 0.0


@given(doubles.filter(lambda x: abs(x) < 1e300), doubles.filter(lambda x: abs(x) < 1e300))
def test_a_sum_rounded_to_odd_is_exact_or_the_odd_neighbour_of_the_exact_sum(first: float, second: float) -> None:
    total, rest = exact_sum(double(first), double(second))
    odd = float(to_odd(total, rest))
    exact = Fraction(first) + Fraction(second)
    if Fraction(odd) == exact:
        assert float(rest) == 0.0
    else:
        assert struct.unpack("<q", struct.pack("<d", odd))[0] & 1
        assert Fraction(math.nextafter(odd, -math.inf)) < exact < Fraction(math.nextafter(odd, math.inf))


@given(doubles.filter(lambda x: abs(x) < 1e300), doubles.filter(lambda x: abs(x) < 1e300))
@example(1 + 2.0**-24, 2.0**-80)
@example(1 + 2.0**-24, -(2.0**-80))
@example(-1 - 2.0**-24 - 2.0**-52, 2.0**-80)
@example(1 + 3 * 2.0**-24, -(2.0**-80))
@example(2.0**-149 * 1.5, 2.0**-1000)
def test_a_sum_rounded_to_odd_is_rounded_as_the_exact_sum_afterwards(first: float, second: float) -> None:
    odd = to_odd(*exact_sum(double(first), double(second)))
    assert float(odd.float()) == nearest(Fraction(first) + Fraction(second), torch.float32)


small = st.floats(min_value=-4, max_value=4, width=32)
traps = st.tuples(st.sampled_from([1.0, 1.5, 1 + 2.0**-23, 2 - 2.0**-23]), st.integers(-60, 60)).map(lambda pair: math.ldexp(*pair))
"""Factors whose products end in long runs of zeros or ones: sums with them lie next to the middle of two numbers."""


@given(singles, singles, singles)
def test_a_multiply_add_is_rounded_once(x: float, y: float, addend: float) -> None:
    assert float(multiply_add(single(x), single(y), single(addend))) == nearest(Fraction(x) * Fraction(y) + Fraction(addend), torch.float32)


@given(small | traps, small | traps, small | traps)
@example(1 + 2.0**-12, 1 + 2.0**-12, 2.0**-60)  # 1 + 2**-11 + 2**-24 + 2**-60: float64 drops the last part, which decides
@example(1 + 3 * 2.0**-12, 1 + 2.0**-12, -(2.0**-60))
@example(1 + 2.0**-12, 1 + 2.0**-12, -(2.0**-60))
@example(1 + 2.0**-23, 1 + 2.0**-23, 2.0**24)
@example(2.0**-75, 2.0**-75, 1.0)
@example(-(2.0**-75), 2.0**-75, 1 + 2.0**-23)
def test_a_multiply_add_of_numbers_that_meet_is_rounded_once(x: float, y: float, addend: float) -> None:
    assert float(multiply_add(single(x), single(y), single(addend))) == nearest(Fraction(x) * Fraction(y) + Fraction(addend), torch.float32)


def test_two_roundings_are_told_from_one() -> None:
    """The traps above are traps: through float64 alone these come out otherwise."""
    cases = [(1 + 2.0**-12, 1 + 2.0**-12, 2.0**-60), (1 + 3 * 2.0**-12, 1 + 2.0**-12, -(2.0**-60))]
    naive = [float((double(x) * double(y) + double(z)).float()) for x, y, z in cases]
    right = [float(multiply_add(single(x), single(y), single(z))) for x, y, z in cases]
    assert naive == [1 + 2.0**-11, 1 + 2.0**-10 + 2.0**-22]
    assert right == [1 + 2.0**-11 + 2.0**-23, 1 + 2.0**-10 + 2.0**-23]


@pytest.mark.skipif(sys.platform != "linux", reason="the C library is looked for as on Linux")
@given(st.lists(st.tuples(singles | traps, singles | traps, singles | traps), min_size=1, max_size=30))
def test_a_multiply_add_is_that_of_the_c_library(triples: list[tuple[float, float, float]]) -> None:
    fmaf = ctypes.CDLL("libm.so.6").fmaf
    fmaf.restype, fmaf.argtypes = ctypes.c_float, [ctypes.c_float] * 3
    x, y, addend = (single(*column) for column in zip(*triples, strict=True))
    assert multiply_add(x, y, addend).tolist() == [fmaf(*triple) for triple in triples]


@pytest.mark.parametrize(
    ("x", "y", "addend", "expected"),
    [
        (math.inf, 2.0, 1.0, math.inf),
        (math.inf, -2.0, 1.0, -math.inf),
        (1.0, 1.0, -math.inf, -math.inf),
        (3e38, 3e38, 0.0, math.inf),
        (3e38, 3e38, -math.inf, -math.inf),
        (math.inf, 0.0, 1.0, math.nan),
        (math.inf, 1.0, -math.inf, math.nan),
        (math.nan, 0.0, 0.0, math.nan),
    ],
)
def test_a_multiply_add_of_infinities_and_nan(x: float, y: float, addend: float, expected: float) -> None:
    result = float(multiply_add(single(x), single(y), single(addend)))
    assert result == expected or (math.isnan(result) and math.isnan(expected))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_only_what_is_subnormal_is_flushed(sign: float) -> None:
    below = _next(FLUSH, 0.0)
    values = sign * single(0.0, 2.0**-149, below, FLUSH, 1.0, math.inf)
    assert flush(values).tolist() == [0.0, 0.0, 0.0, sign * FLUSH, sign, sign * math.inf]
    assert bool(flush(single(math.nan)).isnan())
    assert flush(values).dtype == torch.float32


def test_every_power_of_two_of_the_normal_range() -> None:
    exponents = torch.arange(-1022, 1024)
    assert power_of_two(exponents).tolist() == [math.ldexp(1.0, int(exponent)) for exponent in exponents]
    assert power_of_two(torch.tensor([3, -3], dtype=torch.int32)).tolist() == [8.0, 0.125]


def test_gamma_is_above_what_so_many_roundings_make() -> None:
    for steps in (1, 2, 7, 1000):
        grown = (1 + Fraction(rounding.V)) ** steps - 1
        assert grown <= Fraction(gamma(steps, rounding.V)) <= grown * (1 + 2 * steps * Fraction(rounding.V))
    assert gamma(0, rounding.V) == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_constants_are_those_of_the_dtype(dtype: torch.dtype) -> None:
    limits = torch.finfo(dtype)
    assert ROUNDOFF[dtype] == limits.eps / 2
    half_of_the_smallest = limits.smallest_normal * limits.eps / 2
    assert UNDERFLOW[dtype] == (half_of_the_smallest if dtype is torch.float16 else limits.smallest_normal)
    limit = LARGEST[dtype] * (1 + ROUNDOFF[dtype] / (2 - limits.eps))  # the middle of the largest number and what would follow
    assert 0.99 * limit < OVERFLOW[dtype] <= limit
    assert float(torch.finfo(torch.float32).smallest_normal) == FLUSH


@given(halves, st.sampled_from([torch.float16, torch.bfloat16]))
def test_the_roundoff_bounds_every_rounding(value: float, dtype: torch.dtype) -> None:
    exact = Fraction(value) * 3 / 7
    assume(abs(exact) < 60000)
    assert abs(Fraction(nearest(exact, dtype)) - exact) <= Fraction(ROUNDOFF[dtype]) * abs(exact) + Fraction(UNDERFLOW[dtype])
