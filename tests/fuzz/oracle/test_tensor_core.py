"""Fused sums against a scalar model in exact fractions."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from fuzz.oracle.rounding import V, gamma
from fuzz.oracle.tensor_core import AMPERE, BY_MAJOR, HOPPER, VOLTA, TensorCore, exponents, fused_sums
from tests.fuzz.oracle import scalar

HALVES = [torch.float16, torch.bfloat16]
CORES = [VOLTA, AMPERE, HOPPER]
SPREAD = {torch.float16: (-12, 4), torch.bfloat16: (-20, 20)}
"""Exponents of ordinary inputs, so that sums stay in the range of float32."""


def spread(shape: tuple[int, ...], exponents_: tuple[int, int], random: torch.Generator) -> torch.Tensor:
    """Numbers of all significands and signs, of exponents from the first to the second."""
    low, high = exponents_
    significand = 1 + torch.rand(shape, generator=random, dtype=torch.float64)
    sign = torch.randint(0, 2, shape, generator=random) * 2 - 1
    return sign * torch.ldexp(significand, torch.randint(low, high + 1, shape, generator=random))


def expected(activation: torch.Tensor, weight: torch.Tensor, core: TensorCore) -> list[list[float]]:
    rows, columns = activation.tolist(), weight.tolist()
    return [[scalar.tensor_core(x, w, activation.dtype, core.terms, core.fraction) for w in columns] for x in rows]


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("terms", [1, 3, 4, 15, 16, 17, 64, 100])
def test_ordinary_sums_bit_for_bit(core: TensorCore, dtype: torch.dtype, terms: int) -> None:
    random = torch.Generator().manual_seed(terms)
    for exponents_ in (SPREAD[dtype], (-1, 0)):
        x, w = (spread((rows, terms), exponents_, random).to(dtype) for rows in (3, 4))
        assert fused_sums(x, w, core).tolist() == expected(x, w, core)


@pytest.mark.parametrize("core", CORES)
def test_sums_of_subnormal_numbers_of_float16_bit_for_bit(core: TensorCore) -> None:
    """Subnormal numbers keep their small exponent field, which decides what is cut off beside them."""
    random = torch.Generator().manual_seed(1)
    seen = 0
    for low, high in ((-24, -14), (-26, 3), (-15, -13)):
        x, w = spread((5, 48), (low, high), random).half(), spread((5, 48), (-24, 12), random).half()
        seen += int(((x != 0) & (x.abs() < 2.0**-14)).sum())
        assert fused_sums(x, w, core).tolist() == expected(x, w, core)
    assert seen > 100


@pytest.mark.parametrize("core", CORES)
def test_sums_that_are_subnormal_in_bfloat16_or_float32_bit_for_bit(core: TensorCore) -> None:
    random = torch.Generator().manual_seed(2)
    x, w = spread((5, 32), (-133, -100), random).bfloat16(), spread((5, 32), (-40, 5), random).bfloat16()
    assert bool(((x != 0) & (x.abs() < 2.0**-126)).any())
    sums = fused_sums(x, w, core)
    assert sums.tolist() == expected(x, w, core)
    x, w = spread((9, 32), (-70, -60), random).bfloat16(), spread((9, 32), (-70, -64), random).bfloat16()
    sums = fused_sums(x, w, core)
    assert sums.tolist() == expected(x, w, core)
    assert bool((sums == 0).any())
    assert not bool(((sums != 0) & (sums.abs() < 2.0**-126)).any())


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("dtype", HALVES)
def test_sums_that_cancel_bit_for_bit(core: TensorCore, dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(3)
    x = spread((4, 32), (-2, 6), random).to(dtype)
    w = spread((4, 32), (-2, 6), random).to(dtype)
    x, w = torch.cat((x, -x), -1), torch.cat((w, w), -1)
    mixed = torch.randperm(64, generator=random)
    assert fused_sums(x[:, mixed], w[:, mixed], core).tolist() == expected(x[:, mixed], w[:, mixed], core)


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("dtype", HALVES)
def test_integers_are_added_exactly(core: TensorCore, dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(4)
    x, w = (torch.randint(-128, 129, (rows, 200), generator=random) for rows in (3, 5))
    sums = fused_sums(x.to(dtype), w.to(dtype), core)
    assert sums.dtype == torch.float32
    assert torch.equal(sums.long(), x @ w.t())


def test_what_lies_below_the_kept_bits_is_cut_off_before_it_is_added() -> None:
    x = torch.tensor([[1.0, *[1.5 * 2.0**-12] * 3]]).bfloat16()
    w = torch.tensor([[1.0, *[2.0**-12] * 3]]).bfloat16()
    assert float(fused_sums(x, w, TensorCore(4, 23))) == 1.0
    assert float(fused_sums(x, w, TensorCore(4, 24))) == 1.0 + 2.0**-23  # three times 2**-24, and the last bit cut off
    assert float(fused_sums(-x, w, TensorCore(4, 24))) == -(1.0 + 2.0**-23)
    assert float(fused_sums(x, w, TensorCore(1, 25))) == 1.0  # one at a time, nothing of it is left in float32


def test_the_order_is_ascending() -> None:
    """A large number in the first step hides what follows; in the last one it does not hide what came before."""
    x, w = torch.full((2, 32), 2.0**-7).bfloat16(), torch.full((1, 32), 2.0**-7).bfloat16()
    x[0, 0], x[1, 31] = 2.0**20, 2.0**20
    assert fused_sums(x, w, TensorCore(1, 23)).flatten().tolist() == [2.0**13, 2.0**13 + 31 * 2.0**-14 // 2.0**-10 * 2.0**-10]


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("dtype", HALVES)
def test_infinities_and_nan_are_those_of_ieee(core: TensorCore, dtype: torch.dtype) -> None:
    inf, nan = math.inf, math.nan
    rows = {(inf, 1.0): inf, (-inf, 1.0): -inf, (inf, inf): inf, (inf, -inf): nan, (nan, 1.0): nan, (nan, inf): nan, (1.0, 2.0): 3.0}
    for first, distance in itertools.product((0, 20), (1, 18)):
        x = torch.zeros(len(rows), 40)
        for row, (one, other) in enumerate(rows):
            x[row, first], x[row, first + distance] = one, other
        sums = fused_sums(x.to(dtype), torch.ones(1, 40).to(dtype), core)[:, 0]
        assert [repr(value) for value in sums.tolist()] == [repr(value) for value in rows.values()]  # NaN is not itself
    zero_times_infinity = fused_sums(torch.tensor([[inf, 1.0]]).to(dtype), torch.tensor([[0.0, 1.0]]).to(dtype), core)
    assert bool(zero_times_infinity.isnan())


@pytest.mark.parametrize("core", CORES)
def test_a_sum_beyond_float32_is_cut_off_to_its_largest_number(core: TensorCore) -> None:
    largest = float(torch.finfo(torch.float32).max)
    x = torch.tensor([[2.0**64, 2.0**64]]).bfloat16()
    sums = fused_sums(x, torch.tensor([[2.0**63, 2.0**63], [-(2.0**63), -(2.0**63)]]).bfloat16(), core)
    assert sums.tolist() == [[largest, -largest]]


def test_exponents_are_those_of_the_format() -> None:
    values = torch.tensor([1.0, 1.99, -2.0, 0.75, 2.0**-14, 2.0**-15, 2.0**-24, 0.0, 65504.0])
    assert exponents(values.half(), torch.float16).tolist() == [0, 0, 1, -1, -14, -14, -14, -14, 15]
    values = torch.tensor([1.0, 2.0**-126, 2.0**-127, 2.0**-149, 0.0, 2.0**127])
    assert exponents(values, torch.float32).tolist() == [0, -126, -126, -126, -126, 127]


def test_the_error_of_a_step_covers_what_every_model_loses() -> None:
    """All terms just short of the next kept bit: as much is cut off as can be."""
    for core in CORES:
        x = torch.full((1, core.terms), (2.0**-4) * (1 + 2.0**-10)).half()
        w = torch.full((1, core.terms), 1 + 2.0**-10).half()
        x[0, 0] = 1.0
        w[0, 0] = 1.0
        exact = float((x.double() * w.double()).sum())
        lost = (exact - float(fused_sums(x, w, core))) / exact
        assert 0 < lost < core.error


def test_the_weakest_model_is_volta_and_every_architecture_has_one() -> None:
    assert VOLTA.error > AMPERE.error > HOPPER.error > gamma(1, V)
    assert [(core.terms, core.fraction) for core in CORES] == [(4, 23), (8, 24), (16, 25)]
    assert BY_MAJOR == {7: VOLTA, 8: AMPERE, 9: HOPPER, 10: HOPPER, 12: HOPPER}
