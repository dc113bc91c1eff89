"""Judged quantizing against a search over all codes: whatever is nearest or nearly so is right, everything else is seen."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st

from fuzz.oracle.codebooks import CODES, dynamic_map
from fuzz.oracle.quantizing import (
    CPU_STEP_8BIT,
    NEAR_TIE,
    NEAR_TIE_8BIT,
    Coded,
    block_scales,
    blocks_of,
    shifted_scales,
    wrong_codes,
    wrong_offset,
    wrong_outer_scales,
    wrong_scales,
    wrong_zeros,
)
from strategies.case import QuantType

TABLES = {quant_type: torch.tensor(values) for quant_type, values in CODES.items()}
MAP = torch.tensor(dynamic_map())
DTYPES = [torch.float32, torch.float16, torch.bfloat16]

singles = st.floats(min_value=-(2.0**100), max_value=2.0**100, width=32)
small = st.floats(min_value=-4, max_value=4, width=16)
numbers = st.one_of(st.lists(singles, min_size=1, max_size=9), st.lists(small, min_size=1, max_size=9))
quant_types = st.sampled_from(QuantType)


def scale_of(values: list[float]) -> Fraction:
    return max(abs(Fraction(value)) for value in values)


def distance(value: float, code: float, scale: Fraction) -> Fraction:
    return abs(Fraction(value) - Fraction(code) * scale)


def nearest(value: float, table: list[float], scale: Fraction) -> int:
    """The index of a nearest code, by trying all."""
    return min(range(len(table)), key=lambda index: distance(value, table[index], scale))


def coded(values: list[float], index: list[int], table: torch.Tensor, blocksize: int) -> Coded:
    return Coded(torch.tensor(values, dtype=torch.float32), blocksize, torch.tensor(index), table)


@given(numbers, quant_types, st.integers(1, 4))
@example([1.0, 0.5, -0.25, 0.125], QuantType.FP4, 4)
@example([0.0, 0.0], QuantType.NF4, 2)
def test_nearest_codes_are_right(values: list[float], quant_type: QuantType, blocksize: int) -> None:
    table = TABLES[quant_type].tolist()
    index = []
    for first in range(0, len(values), blocksize):
        block = values[first : first + blocksize]
        index += [nearest(value, table, scale_of(block)) for value in block]
    assert wrong_codes(coded(values, index, TABLES[quant_type], blocksize)) is None
    ours = coded(values, index, TABLES[quant_type], blocksize)
    for dtype in (torch.float64, torch.float32):
        assert wrong_codes(dataclasses.replace(ours, values=ours.values.to(dtype).reshape(1, -1))) is None


@given(numbers, quant_types, st.data())
def test_a_code_is_wrong_exactly_if_it_is_further_than_a_nearest_by_more_than_the_slack(
    values: list[float], quant_type: QuantType, data: st.DataObject
) -> None:
    table, scale = TABLES[quant_type].tolist(), scale_of(values)
    assume(scale > Fraction(2) ** -100)
    place, code = data.draw(st.integers(0, len(values) - 1)), data.draw(st.integers(0, 15))
    index = [nearest(value, table, scale) for value in values]
    best = distance(values[place], table[index[place]], scale)
    index[place] = code
    excess = distance(values[place], table[code], scale) - best
    slack = Fraction(NEAR_TIE) * abs(Fraction(values[place]))
    assume(abs(excess - slack) > Fraction(2) ** -48 * scale)  # what float64 itself may be off by
    found = wrong_codes(coded(values, index, TABLES[quant_type], len(values)))
    if excess <= slack:
        assert found is None
    else:
        assert found is not None
        assert (found.index, found.count) == (place, 1)
        assert found.expected == values[place]
        assert found.got == pytest.approx(table[code] * float(scale), rel=1e-12)


@pytest.mark.parametrize("quant_type", QuantType)
def test_at_a_tie_and_near_to_it_both_codes_are_right_and_further_away_one(quant_type: QuantType) -> None:
    ascending = sorted(set(TABLES[quant_type].tolist()))
    table = torch.tensor(ascending)
    for low in range(len(ascending) - 1):
        middle = (ascending[low] + ascending[low + 1]) / 2
        for relative, right in ((0.0, (True, True)), (5e-6, (True, True)), (6e-6, (False, True)), (-6e-6, (True, False))):
            value = middle + relative * abs(middle)
            for code, allowed in zip((low, low + 1), right, strict=True):
                made = Coded(torch.tensor([1.0, value], dtype=torch.float64), 2, torch.tensor([len(ascending) - 1, code]), table)
                assert (wrong_codes(made) is None) == allowed


@pytest.mark.parametrize("quant_type", QuantType)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_code_beside_the_nearest_is_wrong_and_the_worst_is_shown(quant_type: QuantType, dtype: torch.dtype) -> None:
    table, order = TABLES[quant_type], TABLES[quant_type].argsort()
    values = torch.randn(40, 64, generator=torch.Generator().manual_seed(1)).to(dtype)
    flat = values.flatten().double()
    scale = block_scales(values, 64).repeat_interleave(64)
    index = (flat[:, None] - table.double()[None] * scale[:, None]).abs().argmin(-1)
    assert wrong_codes(Coded(values, 64, index, table)) is None
    rank = order.argsort()[index]
    for place in (0, 777, 2559):
        changed = index.clone()
        changed[place] = order[(rank[place] + 1) % 16]
        found = wrong_codes(Coded(values, 64, changed, table))
        assert found is not None
        assert (found.index, found.count) == (place, 1)
        assert found.expected == float(flat[place])
        assert found.got == float(table.double()[changed[place]] * scale[place])
    changed = index.clone()
    changed[5], changed[900] = order[(rank[5] + 1) % 16], order[(rank[900] + 8) % 16]
    found = wrong_codes(Coded(values, 64, changed, table))
    assert found is not None
    assert (found.index, found.count) == (900, 2)


def test_a_step_of_a_lookup_widens_every_tie() -> None:
    """The CPU's 8-bit quantizer takes a threshold to be up to half of one of 65,535 steps away."""
    values = torch.ones(256, dtype=torch.float64)
    middle = float((MAP[100] + MAP[101]).double() / 2)
    for offset, right in ((0.9 / 65535, True), (1.2 / 65535, False)):
        values[1] = middle + offset
        made = Coded(values, 256, torch.tensor([255, 100, *[255] * 254]), MAP)
        assert wrong_codes(made, NEAR_TIE_8BIT) is not None
        assert (wrong_codes(made, NEAR_TIE_8BIT, CPU_STEP_8BIT) is None) == right


@given(st.lists(st.floats(min_value=-1, max_value=1, width=32), min_size=1, max_size=4))
def test_nearest_codes_of_8_bits_are_right(values: list[float]) -> None:
    table, scale = MAP.tolist(), scale_of(values)
    index = [nearest(value, table, scale) for value in values]
    assert wrong_codes(coded(values, index, MAP, 256), NEAR_TIE_8BIT) is None


@given(st.lists(singles, min_size=1, max_size=20), st.integers(1, 7))
def test_scales_are_the_largest_magnitudes(values: list[float], blocksize: int) -> None:
    right = [float(scale_of(values[first : first + blocksize])) for first in range(0, len(values), blocksize)]
    flat = torch.tensor(values)
    assert block_scales(flat, blocksize).tolist() == right
    assert blocks_of(flat, blocksize).shape == (len(right), blocksize)
    assert wrong_scales(flat, blocksize, torch.tensor(right)) is None


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 0.0, -2.0, 2.0000002384185791, 1.9999998807907104])
def test_a_scale_that_is_not_the_largest_magnitude_is_wrong(wrong: float) -> None:
    values = torch.tensor([1.0, -2.0, 0.5, 0.25, 2.0, 0.0])
    found = wrong_scales(values, 2, torch.tensor([2.0, 0.5, wrong]))
    assert found is not None
    assert (found.index, found.expected, found.count) == (2, 2.0, 1)
    assert found.got == wrong or math.isnan(wrong)


def test_the_scale_that_is_furthest_off_is_shown() -> None:
    values = torch.tensor([1.0, 2.0, 3.0, 4.0])
    worst = wrong_scales(values, 1, torch.tensor([1.1, 2.0, 4.0, 3.9]))
    assert worst is not None
    assert (worst.index, worst.expected, worst.got, worst.count) == (2, 3.0, 4.0, 3)
    assert worst.wrong.tolist() == [True, False, True, True]
    assert worst.ratio[1] == 0
    assert bool((worst.ratio[worst.wrong] > 1).all())
    assert wrong_scales(values, 1, torch.tensor([1.1, math.nan, 4.0, 3.9])).index == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("scale", [0.0, 1e-38, 1.0, math.nan])
def test_a_block_of_zeros_may_have_any_scale(scale: float) -> None:
    assert wrong_scales(torch.tensor([0.0, -0.0, 1.0]), 2, torch.tensor([scale, 1.0])) is None


@pytest.mark.parametrize("scale", [0.0, 1e-38, 2.0**-130])
def test_a_block_of_subnormal_numbers_may_be_flushed_or_kept_above_zero(scale: float) -> None:
    values = torch.tensor([2.0**-130, -(2.0**-131), 1.0, 0.5])
    assert wrong_scales(values, 2, torch.tensor([scale, 1.0])) is None
    for code in range(16):
        made = coded(values[:2].tolist(), [code, 15 - code], TABLES[QuantType.NF4], 2)
        assert wrong_codes(made) is None
    assert wrong_offset(torch.tensor([2.0**-130, 2.0**-128]), 0.0) is None


def test_what_is_above_is_judged_as_ever() -> None:
    values = torch.tensor([2.0**-100, 0.0])
    assert wrong_scales(values, 2, torch.tensor([2.0**-100 * (1 + 2.0**-20)])) is not None
    assert wrong_codes(coded(values.tolist(), [14, 7], TABLES[QuantType.NF4], 2)) is not None
    assert wrong_offset(values[:1], 2.0**-101) is not None


@pytest.mark.parametrize("quant_type", QuantType)
def test_a_block_of_zeros_has_to_decode_to_zeros(quant_type: QuantType) -> None:
    table = TABLES[quant_type]
    zero = int(table.abs().argmin())
    values = torch.zeros(8)
    values[6] = 1.0
    index = torch.tensor([zero, 3, zero, zero, 3, 3, 3, 3])
    made = Coded(values, 3, index, table)
    assert wrong_zeros(made, torch.tensor([0.0, 0.0, 1.0])) is None
    found = wrong_zeros(made, torch.tensor([1e-30, 0.0, 1.0]))
    assert found is not None
    assert (found.index, found.expected, found.count) == (1, 0.0, 1)
    assert found.got == float(table[3].double() * torch.tensor(1e-30).double())
    every = wrong_zeros(made, torch.tensor([1.0, 2.0, 1.0]))
    assert every is not None
    assert (every.index, every.count) == (4, 3)
    for scale in (math.nan, math.inf):
        assert wrong_zeros(made, torch.tensor([scale, 0.0, 1.0])) is not None


@given(st.lists(st.floats(min_value=2.0**-100, max_value=2.0**100, width=32), min_size=1, max_size=50))
def test_an_offset_is_the_mean_in_float32_of_any_order(scales: list[float]) -> None:
    tensor = torch.tensor(scales)
    forwards = torch.zeros(())
    for value in tensor:
        forwards = forwards + value
    exact = sum(map(Fraction, scales)) / len(scales)
    for offset in (float(tensor.mean()), float(forwards / len(scales)), float(torch.tensor(float(exact)))):
        assert wrong_offset(tensor, offset) is None
    for offset in (float(exact) * (1 + 2.0**-23 * (len(scales) + 4)), float(exact) * (1 - 2.0**-23 * (len(scales) + 4)), 0.0, math.nan):
        found = wrong_offset(tensor, offset)
        assert found is not None
        assert found.expected == pytest.approx(float(exact), rel=1e-12)


def test_outer_scales_are_those_of_256_shifted_scales() -> None:
    scales = 1 + torch.rand(600, generator=torch.Generator().manual_seed(2))
    offset = scales.mean()
    shifted = shifted_scales(scales.double(), offset)
    assert torch.equal(shifted, scales - offset)
    assert shifted.dtype == torch.float32
    outer = torch.stack([part.abs().max() for part in (shifted[:256], shifted[256:512], shifted[512:])])
    assert wrong_outer_scales(shifted, outer) is None
    for block in range(3):
        changed = outer.clone()
        changed[block] = torch.nextafter(changed[block], torch.tensor(math.inf))
        found = wrong_outer_scales(shifted, changed)
        assert found is not None
        assert (found.index, found.expected, found.got, found.count) == (block, float(outer[block]), float(changed[block]), 1)
