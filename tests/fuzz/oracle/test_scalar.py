"""The slow reference of these tests, against numbers from elsewhere: Python's struct, torch, and sums by hand."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.oracle import scalar

finite = st.floats(allow_nan=False, allow_infinity=False)
finite32 = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(finite | st.floats(min_value=-70000, max_value=70000) | st.floats(min_value=-(2.0**-12), max_value=2.0**-12))
def test_nearest_is_what_struct_packs(value: float) -> None:
    for dtype, code in ((torch.float16, "<e"), (torch.float32, "<f")):
        try:
            packed = struct.unpack(code, struct.pack(code, value))[0]
        except OverflowError:
            packed = math.copysign(math.inf, value)
        assert scalar.nearest(Fraction(value), dtype) == packed


@given(st.integers(-(2**80), 2**80) | st.integers(-9, 9), st.integers(-100, 200), st.sampled_from(list(scalar.FORMATS)))
def test_nearest_in_integers_is_nearest_in_fractions(numerator: int, places: int, dtype: torch.dtype) -> None:
    assert scalar.nearest_binary(numerator << max(-places, 0), max(places, 0), dtype) == scalar.nearest(
        Fraction(numerator) / Fraction(2) ** places, dtype
    )


@given(st.tuples(finite32, finite32, finite32))
def test_a_fused_multiply_add_is_the_nearest_number_to_the_exact_one(numbers: tuple[float, float, float]) -> None:
    x, y, total = map(scalar.flushed, numbers)
    exact = Fraction(x) * Fraction(y) + Fraction(total)
    assert scalar.fused(*numbers) == scalar.flushed(scalar.nearest(exact, torch.float32))
    assert scalar.multiply(x, y, torch.float16) == scalar.nearest(Fraction(x) * Fraction(y), torch.float16)


@given(finite32)
def test_nearest_bfloat16_of_float32_is_torchs(value: float) -> None:
    assert scalar.nearest(Fraction(value), torch.bfloat16) == float(torch.tensor(value, dtype=torch.float32).bfloat16())


@given(finite.filter(bool))
def test_cut_off_numbers_are_the_next_towards_zero(value: float) -> None:
    cut = scalar.towards_zero(Fraction(value), torch.float32)
    ulp = Fraction(2) ** (max(scalar.exponent_of(Fraction(value)), -126) - 23)
    assert abs(cut) <= abs(Fraction(value)) < abs(cut) + ulp
    assert (cut / ulp).denominator == 1


@pytest.mark.parametrize(("value", "exponent"), [(1.0, 0), (1.999, 0), (2.0, 1), (0.5, -1), (0.75, -1), (2.0**-149, -149), (-6.0, 2)])
def test_exponents(value: float, exponent: int) -> None:
    assert scalar.exponent_of(Fraction(value)) == exponent


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("terms", [1, 8, 64, 1032])
def test_sums_of_small_integers_are_exact_in_every_order(dtype: torch.dtype, terms: int) -> None:
    terms += -terms % 8
    x, weight = [float(k % 5 - 2) for k in range(terms)], [float(k % 3 - 1) for k in range(terms)]
    total = sum(a * b for a, b in zip(x, weight, strict=True))
    assert scalar.simt(x, weight, dtype) == scalar.gemv(x, weight, dtype) == total
    if dtype is not torch.float32:
        assert scalar.tensor_core(x, weight, dtype, 4, 23) == scalar.tensor_core(x, weight, dtype, 16, 25) == total


def test_what_is_absorbed_depends_on_the_order() -> None:
    """2**24 swallows one at a time and not two at once: only the pairs of the fused kernel save something."""
    x, ones = [2.0**15, 0.0, *[1.0] * 6], [2.0**9, 0.0, *[1.0] * 6]
    assert scalar.simt(x, ones, torch.bfloat16) == 2.0**24 + 6
    assert scalar.gemv(x, ones, torch.bfloat16) == 2.0**24
    assert scalar.tensor_core(x, ones, torch.bfloat16, 8, 24) == 2.0**24 + 6
    assert scalar.tensor_core([*x, 1.0], [*ones, 1.0], torch.bfloat16, 8, 24) == 2.0**24 + 6


def test_a_tensor_core_cuts_off_every_addend() -> None:
    x = [1.0, *[2.0**-12 * 1.5] * 3]
    weight = [1.0, *[2.0**-12] * 3]
    assert scalar.tensor_core(x, weight, torch.bfloat16, 4, 23) == 1.0
    assert scalar.tensor_core(x, weight, torch.bfloat16, 4, 24) == 1.0 + 2.0**-23
