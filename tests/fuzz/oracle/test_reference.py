"""The reference against a scalar one in exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from bitsandbytes import functional

from fuzz.engine.tensors import STORAGE_DTYPES
from fuzz.oracle.codebooks import CODES
from fuzz.oracle.reference import FLOAT32_ROUNDOFF, DecodedWeight, decode, multiply, nibbles, packed_bytes
from strategies.case import Case, Layout, Quantization, QuantType, StorageDType, Weight
from tests.fuzz.engine.helpers import nested_state, plain_state

SIZES = [(1, 1), (1, 3), (3, 5), (5, 13), (2, 32), (7, 33), (1, 129), (65, 1)]


def single(value: float) -> Fraction:
    """A float rounded to float32, exactly."""
    return Fraction(float(torch.tensor(value, dtype=torch.float32)))


def make(size: tuple[int, int], layout: Layout, quant_type: QuantType, storage: StorageDType) -> tuple[Case, torch.Tensor]:
    """A Case of this size and random packed bytes for it, as long as the storage dtype makes them."""
    case = Case(
        weight=Weight(out_features=size[0], in_features=size[1], layout=layout),
        quantization=Quantization(quant_type=quant_type, blocksize=32, storage=storage),
    )
    length = math.ceil(math.ceil(case.weight.elements / 2) / storage.itemsize) * storage.itemsize
    data = torch.randint(0, 256, (length,), generator=torch.Generator().manual_seed(length), dtype=torch.uint8)
    return case, data.view(STORAGE_DTYPES[storage]).reshape(-1, 1)


def code_of(case: Case, data: list[int], out: int, column: int) -> tuple[Fraction, int]:
    """The code of one logical element and the number of its block, by the documented packing and nothing else."""
    rows, columns = (out, column) if case.weight.layout is Layout.OUT_IN else (column, out)
    width = case.weight.in_features if case.weight.layout is Layout.OUT_IN else case.weight.out_features
    place = rows * width + columns
    byte = data[place // 2]
    index = byte // 16 if place % 2 == 0 else byte % 16
    return single(CODES[case.quantization.quant_type][index]), place // case.quantization.blocksize


def raw(packed: torch.Tensor) -> list[int]:
    return [int(byte) for byte in packed.flatten().numpy().tobytes()] if packed.dtype != torch.bfloat16 else raw(packed.view(torch.uint8))


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("quant_type", QuantType)
@pytest.mark.parametrize("storage", StorageDType)
def test_plain_statistics_exactly(layout: Layout, quant_type: QuantType, storage: StorageDType) -> None:
    for size in SIZES:
        _check_plain(size, layout, quant_type, storage)


def _check_plain(size: tuple[int, int], layout: Layout, quant_type: QuantType, storage: StorageDType) -> None:
    case, packed = make(size, layout, quant_type, storage)
    blocks = math.ceil(case.weight.elements / 32)
    absmax = torch.rand(blocks, generator=torch.Generator().manual_seed(1)) * 3
    weight = decode(case, packed, plain_state(absmax))
    assert weight.weight.shape == size
    data = raw(packed)
    for out in range(size[0]):
        for column in range(size[1]):
            code, block = code_of(case, data, out, column)
            assert Fraction(float(weight.code[out, column])) == code
            assert Fraction(float(weight.weight[out, column])) == code * Fraction(float(absmax[block]))
            assert float(weight.scale_error[out, column]) == 0


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("quant_type", QuantType)
def test_nested_statistics_exactly(layout: Layout, quant_type: QuantType) -> None:
    for size in SIZES:
        _check_nested(size, layout, quant_type)


def _check_nested(size: tuple[int, int], layout: Layout, quant_type: QuantType) -> None:
    case, packed = make(size, layout, quant_type, StorageDType.UINT8)
    blocks = math.ceil(case.weight.elements / 32)
    absmax = torch.randint(0, 256, (blocks,), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    # Scales of few bits, so that float64 holds code8 * outer + offset exactly.
    state = nested_state(absmax, torch.tensor([0.75]), offset=1.25)
    weight = decode(case, packed, state)
    data = raw(packed)
    for out in range(size[0]):
        for column in range(size[1]):
            code, block = code_of(case, data, out, column)
            scaled = Fraction(float(state.state2.code[int(absmax[block])])) * Fraction(3, 4)
            scale = scaled + Fraction(5, 4)
            assert Fraction(float(weight.scale[out, column])) == scale
            assert float(weight.weight[out, column]) == pytest.approx(float(code * scale), rel=2.0**-51)
            allowed = 2 * Fraction(FLOAT32_ROUNDOFF) * (abs(scaled) + abs(scale))
            assert float(weight.scale_error[out, column]) == pytest.approx(float(allowed), rel=1e-12)


def test_the_second_level_has_blocks_of_256() -> None:
    case = Case(weight=Weight(out_features=1, in_features=32 * 600), quantization=Quantization(blocksize=32))
    absmax = torch.full((600,), 255, dtype=torch.uint8)  # code 1.0
    packed = torch.full((16 * 600, 1), 0xFF, dtype=torch.uint8)  # code 1.0
    weight = decode(case, packed, nested_state(absmax, torch.tensor([1.0, 2.0, 4.0]), offset=0.5)).weight[0]
    blocks = torch.tensor([1.5] * 256 + [2.5] * 256 + [4.5] * 88, dtype=torch.float64)
    assert torch.equal(weight, blocks.repeat_interleave(32))


def test_the_error_of_a_nested_scale_covers_both_ways_to_evaluate_it_in_float32() -> None:
    absmax = torch.arange(256, dtype=torch.uint8)
    case = Case(weight=Weight(out_features=256, in_features=32), quantization=Quantization(blocksize=32))
    packed = torch.zeros(256 * 16, 1, dtype=torch.uint8)
    for outer, offset in [(0.37, 0.123), (1.7, -0.9), (1e-3, 1.0), (0.5, -0.25)]:
        state = nested_state(absmax, torch.tensor([outer]), offset)
        weight = decode(case, packed, state)
        exact, slack = weight.scale[:, 0], weight.scale_error[:, 0]
        twice = state.state2.code * state.state2.absmax + state.offset  # two roundings
        fused = (state.state2.code.double() * state.state2.absmax.double() + state.offset.double()).float()  # one
        assert bool(((twice.double() - exact).abs() <= slack).all())
        assert bool(((fused.double() - exact).abs() <= slack).all())


@pytest.mark.parametrize("storage", StorageDType)
def test_packed_bytes_are_the_same_for_every_storage_dtype_and_view(storage: StorageDType) -> None:
    data = torch.arange(256, dtype=torch.uint8)
    packed = data.view(STORAGE_DTYPES[storage]).reshape(-1, 1)
    assert torch.equal(packed_bytes(packed), data)
    assert torch.equal(packed_bytes(packed.t()), data)
    assert torch.equal(packed_bytes(torch.nn.Parameter(packed, requires_grad=False)), data)


def test_the_high_nibble_comes_first_and_a_spare_one_is_dropped() -> None:
    data = torch.tensor([0x1F, 0xA0], dtype=torch.uint8)
    assert nibbles(data, 4).tolist() == [1, 15, 10, 0]
    assert nibbles(data, 3).tolist() == [1, 15, 10]


@pytest.mark.parametrize("leading", [(), (1,), (3,), (2, 2)])
@pytest.mark.parametrize("nested", [False, True])
def test_multiply_exactly(leading: tuple[int, ...], nested: bool) -> None:  # noqa: FBT001
    case, packed = make((3, 37), Layout.OUT_IN, QuantType.FP4, StorageDType.UINT8)
    absmax = torch.tensor([1, 200, 77, 128], dtype=torch.uint8)
    state = nested_state(absmax, torch.tensor([0.75]), 1.25) if nested else plain_state(absmax.float() / 16)
    weight = decode(case, packed, state)
    x = torch.randint(-8, 9, (*leading, 37), generator=torch.Generator().manual_seed(3)).to(torch.bfloat16) / 4
    bias = torch.tensor([1.5, -2.0, 0.0])
    product = multiply(x, weight, bias)
    assert product.value.shape == product.magnitude.shape == product.code_magnitude.shape == (*leading, 3)
    assert product.activation_magnitude.shape == (*leading, 1)
    assert product.terms == 37
    assert product.bias is not None
    assert torch.equal(product.bias, bias.double())
    rows = x.reshape(-1, 37).tolist()
    for row, values in enumerate(rows):
        inputs = [Fraction(value) for value in values]
        assert float(product.activation_magnitude.flatten()[row]) == float(sum(map(abs, inputs)))
        for out in range(3):
            weights = [Fraction(float(value)) for value in weight.weight[out]]
            codes = [abs(Fraction(float(value))) for value in weight.code[out]]
            slack = [Fraction(float(value)) for value in weight.scale_error[out]]
            exact = sum(a * w for a, w in zip(inputs, weights, strict=True))
            magnitude = sum(abs(a * w) for a, w in zip(inputs, weights, strict=True))
            code = sum(abs(a) * c for a, c in zip(inputs, codes, strict=True))
            error = sum(abs(a) * c * e for a, c, e in zip(inputs, codes, slack, strict=True))
            place = row * 3 + out
            assert abs(Fraction(float(product.value.flatten()[place])) - exact) <= 37 * Fraction(2) ** -53 * magnitude
            assert float(product.magnitude.flatten()[place]) == pytest.approx(float(magnitude + error), rel=1e-13)
            assert float(product.code_magnitude.flatten()[place]) == pytest.approx(float(code), rel=1e-13)
            assert float(product.scale_error.flatten()[place]) == pytest.approx(float(error), rel=1e-13)


def test_what_a_kernel_may_take_for_zero_is_told_apart() -> None:
    code, scale, exact = (torch.tensor([part], dtype=torch.float64) for part in ([1.0, -0.5, 1.0], [8.0] * 3, [0.0] * 3))
    weight = DecodedWeight(code=code, scale=scale, scale_error=exact)
    x = torch.tensor([[2.0**-126, 2.0**-127, -(2.0**-130)], [1.0, 0.0, 2.0]])
    product = multiply(x, weight, None)
    assert torch.equal(torch.as_tensor(product.flushed), torch.tensor([[4 * 2.0**-127 + 8 * 2.0**-130], [0.0]], dtype=torch.float64))
    assert multiply(x[1:], weight, None).flushed == 0.0
    assert multiply(torch.tensor([[2.0**-24, 0.0, 1.0]]).half(), weight, None).flushed == 0.0


def test_multiply_without_bias() -> None:
    case, packed = make((1, 3), Layout.OUT_IN, QuantType.NF4, StorageDType.UINT8)
    assert multiply(torch.ones(3), decode(case, packed, plain_state(torch.ones(1))), None).bias is None


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("quant_type", QuantType)
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("size", [(4, 64), (64, 4), (48, 40)])
def test_a_weight_that_bitsandbytes_quantized_decodes_to_what_it_was(
    layout: Layout,
    quant_type: QuantType,
    compressed: bool,  # noqa: FBT001
    size: tuple[int, int],
) -> None:
    """Quantized to codes times a power of two, so that it is represented exactly (nearly, where scales are compressed)."""
    case = Case(
        weight=Weight(out_features=size[0], in_features=size[1], layout=layout),
        quantization=Quantization(quant_type=quant_type, compress_statistics=compressed),
    )
    index = torch.randint(0, 16, (case.weight.elements,), generator=torch.Generator().manual_seed(5))
    index[::16] = {QuantType.NF4: 15, QuantType.FP4: 3}[quant_type]  # code 1.0: the largest of its block
    scale = torch.tensor([2.0 ** (block % 4) for block in range(math.ceil(len(index) / 64))])
    flat = torch.tensor(CODES[quant_type])[index] * scale.repeat_interleave(64)[: len(index)]
    stored = flat.reshape(case.weight.stored_shape)
    packed, state = functional.quantize_4bit(stored, blocksize=64, quant_type=quant_type.value, compress_statistics=compressed)
    logical = stored if layout is Layout.OUT_IN else stored.t()
    decoded = decode(case, packed, state).weight
    tolerance = 0.05 * float(scale.max()) if compressed else 1e-6
    assert float((decoded - logical.double()).abs().max()) <= tolerance


def test_decode_reads_statistics_only_and_changes_nothing() -> None:
    case, packed = make((3, 5), Layout.IN_OUT, QuantType.NF4, StorageDType.UINT8)
    state: Any = SimpleNamespace(absmax=torch.ones(1), state2=None)
    before = packed.clone()
    decode(case, packed, state)
    assert torch.equal(packed, before)
