"""The fills: bit for bit the same everywhere, and what their names promise."""

from __future__ import annotations

import hashlib
import inspect
from typing import Any

import pytest
import torch

from strategies.case import NON_FINITE, Fill
from strategies.fills import (
    FILLS,
    cancelling,
    heavy_tailed,
    huge,
    infinite,
    integers,
    nan,
    normal,
    one_hot,
    ones,
    stepped,
    subnormal,
    tiny,
    zero_blocks,
    zeros,
)

SHAPE = (3, 5, 7)
SEED = 12345
GOLDEN = {
    Fill.ONES: "459b52f9b9d7000f2c160837af43a7d725b921ad9ad65eefd3512d1988fdb0a2",
    Fill.ONE_HOT: "c1ffdcd18cc15e5287061d9a971142352d262d19a4a5008cc26adb911c030e80",
    Fill.INTEGERS: "5783842a2907c991191147eff965719dd829b80cfa5294380f27b5d783976a32",
    Fill.NORMAL: "632d250c3f539cc46c7b4ecd97c0326962c05e18a0d5e309bc257a618f1f4496",
    Fill.HEAVY_TAILED: "3cce2183e599b52ce629274c3429c9008e855698da143469ba7f84f8b252565c",
    Fill.CANCELLING: "50aac0077f982fbe4636caf8d7e387412c88fe8db441589dbd697c8947a827fd",
    Fill.HUGE: "a7a773f642c5a5f7a2b5048a845d851c8b8186d57fa7a23b489c6fae6549e8d1",
    Fill.TINY: "024d2eea0ae59fdfe152565f6d9a573d7167609ff62a981e098987eb975b447c",
    Fill.SUBNORMAL: "9aa81120234e366c0f7de4fb20861bcc63162402c0fa68cee682505bd3f53a1f",
    Fill.STEPPED: "4333a78b43605e42e0c6f6932b048f297fff5d9ea55d9f020aebdd297355df79",
    Fill.ZEROS: "16d0edc8b7ad7705b23a14058f366ff1c0dfa16a0ad14f741924c308754cf8d1",
    Fill.ZERO_BLOCKS: "4684135862806d18f10f2f289c64723140b98dc90b66f679ab1a08539650eabd",
    Fill.INFINITE: "795ca50f2fb02984d230fd9325fe451b5bf62699140d3e01a778baad1ea9b8d8",
    Fill.NAN: "12bb2dde1e4c4d1fce3e06b59445043489eb77ff09df618483175b42e5b95883",
}
"""SHA-256 of the float64 bytes for SHAPE and SEED. A change here changes what every recorded Case means."""


@pytest.mark.parametrize("fill", Fill)
def test_values_are_the_same_on_every_machine_and_torch(fill: Fill) -> None:
    values = FILLS[fill](SHAPE, SEED)
    assert hashlib.sha256(values.contiguous().numpy().astype("<f8").tobytes()).hexdigest() == GOLDEN[fill]


@pytest.mark.parametrize("fill", Fill)
@pytest.mark.parametrize("shape", [(1,), (2,), (1, 1), (4, 1), (1, 6), (2, 3, 5), (64, 129)])
def test_shape_and_dtype(fill: Fill, shape: tuple[int, ...]) -> None:
    values = FILLS[fill](shape, 3)
    assert values.shape == shape
    assert values.dtype == torch.float64
    assert int((~values.isfinite()).sum()) == (fill in NON_FINITE)


@pytest.mark.parametrize("fill", Fill)
def test_equal_seeds_are_equal_and_the_global_generator_plays_no_part(fill: Fill) -> None:
    state = torch.get_rng_state()
    first = FILLS[fill]((9, 31), 8)
    assert torch.equal(state, torch.get_rng_state())
    torch.rand(5)
    assert torch.equal(first.nan_to_num(nan=99.0), FILLS[fill]((9, 31), 8).nan_to_num(nan=99.0))
    torch.set_rng_state(state)


@pytest.mark.parametrize("fill", [fill for fill in Fill if fill not in {Fill.ONES, Fill.ZEROS}])
def test_other_seeds_give_other_values(fill: Fill) -> None:
    assert not torch.equal(FILLS[fill]((9, 31), 8), FILLS[fill]((9, 31), 9))


@pytest.mark.parametrize("fill", Fill)
def test_float32_holds_every_value_and_only_huge_ones_are_above_16(fill: Fill) -> None:
    values = FILLS[fill]((200, 201), 2)
    numbers = values[values.isfinite()]
    assert torch.equal(numbers, numbers.float().double())
    assert (float(numbers.abs().max()) > 16) == (fill in {Fill.HUGE, Fill.STEPPED})


def test_every_fill_has_its_function_under_its_own_name() -> None:
    assert {fill: function.__name__ for fill, function in FILLS.items()} == {fill: fill.value for fill in Fill}


@pytest.mark.parametrize("fill", Fill)
def test_functions_are_self_contained_for_scripts_that_quote_them(fill: Fill) -> None:
    alone: dict[str, Any] = {"torch": torch}
    exec(inspect.getsource(FILLS[fill]), alone)  # noqa: S102 - this is what a script does
    assert torch.equal(alone[fill.value](SHAPE, seed=SEED).nan_to_num(nan=99.0), FILLS[fill](SHAPE, SEED).nan_to_num(nan=99.0))


def test_ones() -> None:
    assert torch.equal(ones((2, 3), 0), torch.ones(2, 3, dtype=torch.float64))


@pytest.mark.parametrize("seed", [0, 1, 6])
def test_one_hot_has_one_one_a_row_at_a_place_that_moves(seed: int) -> None:
    values = one_hot((2, 4, 5), seed).reshape(8, 5)
    assert torch.equal(values.sum(-1), torch.ones(8, dtype=torch.float64))
    assert set(values.flatten().tolist()) == {0.0, 1.0}
    assert values.argmax(-1).tolist() == [(row + seed) % 5 for row in range(8)]


def test_integers_are_all_from_minus_4_to_4() -> None:
    assert set(integers((40, 40), 1).flatten().tolist()) == set(range(-4, 5))


def test_normal_has_mean_0_variance_1_and_tails() -> None:
    values = normal((300, 300), 1)
    assert abs(float(values.mean())) < 0.02
    assert abs(float(values.var()) - 1) < 0.02
    assert 3 < float(values.abs().max()) <= 6
    assert 0.66 < float((values.abs() < 1).double().mean()) < 0.70
    assert torch.equal(values * 4096, (values * 4096).round())


def test_no_two_rows_or_blocks_of_normal_are_alike() -> None:
    rows = normal((64, 64), 5)
    assert len({tuple(row.tolist()) for row in rows}) == 64


def test_heavy_tailed_is_an_odd_integer_times_a_power_of_two() -> None:
    mantissa, exponent = heavy_tailed((100, 100), 4).frexp()
    scaled = torch.ldexp(mantissa, torch.tensor(4))  # from 8 to 16 in magnitude, with at most four bits
    assert torch.equal(scaled, scaled.round())
    assert int(exponent.min()) <= -10
    assert int(exponent.max()) == 4
    assert float(heavy_tailed((100, 100), 4).abs().min()) >= 2.0**-12
    assert set(heavy_tailed((100, 100), 4).sign().flatten().tolist()) == {-1.0, 1.0}


def test_products_of_huge_values_leave_the_range_of_float16_and_those_of_tiny_ones_fall_below_it() -> None:
    large, small = huge((100, 100), 4).abs(), tiny((100, 100), 4).abs()
    for values, lowest, highest in ((large, 1.0, 15 * 2.0**12), (small, 2.0**-24, 15 * 2.0**-12)):
        assert float(values.min()) == lowest
        assert float(values.max()) == highest
        assert torch.equal(values, values.half().double())
        scaled = values.frexp().mantissa * 16  # odd integers of at most four bits
        assert torch.equal(scaled, scaled.round())
    assert 0.2 < float((large[:50].half() * large[50:].half()).isinf().double().mean()) < 0.6
    assert 0.7 < float((small[:50].half() * small[50:].half() == 0).double().mean()) < 0.95
    assert {-1.0, 1.0} == set(huge((100, 100), 4).sign().flatten().tolist()) == set(tiny((100, 100), 4).sign().flatten().tolist())


def test_many_numbers_are_subnormal_in_float32_and_none_is_lost() -> None:
    values = subnormal((100, 100), 4)
    assert 0.35 < float((values.abs() < 2.0**-126).double().mean()) < 0.45
    assert float(values.abs().min()) == 2.0**-149
    assert float(values.abs().max()) == 15 * 2.0**-100
    assert set(values.sign().flatten().tolist()) == {-1.0, 1.0}
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float16)
    try:
        assert torch.equal(subnormal((100, 100), 4), values)
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize("fill", Fill)
@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 5), (2, 0, 4)])
def test_nothing_can_be_filled(fill: Fill, shape: tuple[int, ...]) -> None:
    filled = FILLS[fill](shape, SEED)
    assert tuple(filled.shape) == shape
    assert filled.dtype is torch.float64


@pytest.mark.parametrize("columns", [1, 2, 7, 64, 101])
def test_cancelling_sums_cancel_except_for_a_last_odd_one(columns: int) -> None:
    values = cancelling((6, columns), 11)
    rest = values[:, -1] if columns % 2 else torch.zeros(6, dtype=torch.float64)
    assert torch.equal(values.sum(-1), rest)
    assert float(values.abs().min()) >= 1
    assert float(values.abs().max()) <= 8
    assert torch.equal(values[:, 0 : columns - columns % 2 : 2], -values[:, 1::2])


def test_stepped_has_another_scale_every_32_elements() -> None:
    flat = stepped((8, 64), 3).flatten().reshape(-1, 32)
    exponents = [{round(float(value.abs().log2())) for value in block} for block in flat.sign() * flat.abs().frexp().exponent.exp2()]
    spread = [max(block) - min(block) for block in exponents]
    assert max(spread) <= 3, "odd integers up to 15 span four binades"
    largest = flat.abs().amax(dim=1)
    assert float((largest[1:] / largest[:-1]).log2().abs().min()) > 0.5
    assert set(flat.sign().flatten().tolist()) == {-1.0, 1.0}


def test_zeros_are_zero() -> None:
    assert torch.equal(zeros((3, 4), 5), torch.zeros((3, 4), dtype=torch.float64))


def test_zero_blocks_are_zeros_and_then_integers() -> None:
    flat = zero_blocks((10, 100), 1).flatten()
    assert torch.equal(flat[:500], torch.zeros(500, dtype=torch.float64))
    assert set(flat[500:].tolist()) == {float(value) for value in range(-4, 5)}


@pytest.mark.parametrize("seed", [0, 7, 12])
def test_what_is_no_number_is_in_one_place_among_ones(seed: int) -> None:
    for function, isthere in ((infinite, torch.isinf), (nan, torch.isnan)):
        flat = function((3, 4), seed).flatten()
        assert isthere(flat).nonzero().flatten().tolist() == [seed % 12]
        assert int((flat == 1).sum()) == 11
