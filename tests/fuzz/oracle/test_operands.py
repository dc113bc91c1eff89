"""What a kernel is given: decoded in float32, exactly as the independent reference decodes it in float64."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fuzz.engine.tensors import STORAGE_DTYPES
from fuzz.oracle.codebooks import CODES
from fuzz.oracle.operands import Nested, Operands, block_scales_float32, code_table, decode_float32, nested_scales
from fuzz.oracle.reference import decode
from strategies.case import Case, Layout, Quantization, QuantType, StorageDType, Weight
from tests.fuzz.engine.helpers import nested_state, plain_state
from tests.fuzz.oracle import scalar

singles = st.floats(min_value=-(2.0**50), max_value=2.0**50, width=32)


def made(size: tuple[int, int], layout: Layout, quant_type: QuantType, storage: StorageDType) -> tuple[Case, torch.Tensor]:
    case = Case(
        weight=Weight(out_features=size[0], in_features=size[1], layout=layout),
        quantization=Quantization(quant_type=quant_type, blocksize=32, storage=storage),
    )
    length = math.ceil(math.ceil(case.weight.elements / 2) / storage.itemsize) * storage.itemsize
    data = torch.randint(0, 256, (length,), generator=torch.Generator().manual_seed(length), dtype=torch.uint8)
    return case, data.view(STORAGE_DTYPES[storage]).reshape(-1, 1)


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("quant_type", QuantType)
@pytest.mark.parametrize("storage", StorageDType)
def test_codes_and_plain_scales_are_those_of_the_reference(layout: Layout, quant_type: QuantType, storage: StorageDType) -> None:
    for size in ((1, 1), (3, 5), (7, 33), (65, 2)):
        case, packed = made(size, layout, quant_type, storage)
        state = plain_state(torch.rand(math.ceil(case.weight.elements / 32), generator=torch.Generator().manual_seed(1)) * 3)
        found, exact = decode_float32(case, packed, state, "cpu"), decode(case, packed, state)
        assert found.code.dtype == torch.float32
        assert found.code.shape == size
        assert torch.equal(found.code.double(), exact.code)
        for nested in Nested:
            assert torch.equal(found.scales[nested].double(), exact.scale)


@pytest.mark.parametrize("layout", Layout)
def test_compressed_scales_lie_within_the_error_of_the_reference(layout: Layout) -> None:
    case, packed = made((40, 33), layout, QuantType.NF4, StorageDType.UINT8)
    blocks = math.ceil(case.weight.elements / 32)
    index = torch.randint(0, 256, (blocks,), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    state = nested_state(index, torch.tensor([0.37]), 0.123)
    found, exact = decode_float32(case, packed, state, "cpu"), decode(case, packed, state)
    assert torch.equal(found.code.double(), exact.code)
    for nested in Nested:
        assert bool(((found.scales[nested].double() - exact.scale).abs() <= exact.scale_error).all())
    assert not torch.equal(found.scales[Nested.FUSED], found.scales[Nested.SEPARATE])


@given(st.lists(st.tuples(st.integers(0, 255), singles), min_size=1, max_size=5), singles, singles)
def test_compressed_scales_are_rounded_twice_or_once(entries: list[tuple[int, float]], outer: float, offset: float) -> None:
    code8 = torch.zeros(256)
    for place, value in entries:
        code8[place] = value
    index = torch.tensor([place for place, _ in entries], dtype=torch.uint8)
    found = nested_scales(index, code8, torch.tensor([outer]), torch.tensor(offset))
    for number, place in enumerate(index.tolist()):
        product = Fraction(float(code8[place])) * Fraction(outer)
        twice = scalar.nearest(Fraction(scalar.nearest(product, torch.float32)) + Fraction(offset), torch.float32)
        assert float(found[Nested.SEPARATE][number]) == twice
        assert float(found[Nested.FUSED][number]) == scalar.nearest(product + Fraction(offset), torch.float32)


def test_the_two_evaluations_differ_where_the_offset_cancels() -> None:
    code8 = torch.zeros(256)
    code8[7] = 1 + 2.0**-12
    found = nested_scales(torch.tensor([7], dtype=torch.uint8), code8, code8[7:8], torch.tensor(-(1 + 2.0**-11)))
    assert found[Nested.SEPARATE].tolist() == [0.0]
    assert found[Nested.FUSED].tolist() == [2.0**-24]


def test_the_second_level_has_blocks_of_256() -> None:
    code8 = torch.ones(256)
    found = nested_scales(torch.zeros(600, dtype=torch.uint8), code8, torch.tensor([1.0, 2.0, 4.0]), torch.tensor(0.5))
    for nested in Nested:
        assert found[nested].tolist() == [1.5] * 256 + [2.5] * 256 + [4.5] * 88


def test_scales_of_blocks_are_those_of_the_state() -> None:
    absmax = torch.tensor([1.5, 2.5])
    assert all(scale is absmax or torch.equal(scale, absmax) for scale in block_scales_float32(plain_state(absmax)).values())
    index = torch.tensor([255, 0], dtype=torch.uint8)
    state = nested_state(index, torch.tensor([2.0]), 0.25)
    assert block_scales_float32(state)[Nested.SEPARATE].tolist() == (state.state2.code[index.long()] * 2.0 + 0.25).tolist()


@pytest.mark.parametrize("quant_type", QuantType)
def test_the_code_table_is_in_float32(quant_type: QuantType) -> None:
    assert code_table(quant_type).dtype == torch.float32
    assert code_table(quant_type).tolist() == torch.tensor(CODES[quant_type], dtype=torch.float32).tolist()


def test_columns_are_cut_out_of_everything_that_has_them() -> None:
    scale = torch.arange(12.0).reshape(4, 3)
    whole = Operands(
        activation=torch.ones(2, 3),
        code=scale + 100,
        scales={Nested.SEPARATE: scale, Nested.FUSED: -scale},
        bias=torch.arange(4.0),
        stored=torch.bfloat16,
    )
    part = whole.columns(1, 3)
    assert part.activation is whole.activation
    assert part.stored is torch.bfloat16
    assert torch.equal(part.code, whole.code[1:3])
    assert torch.equal(part.scales[Nested.SEPARATE], scale[1:3])
    assert torch.equal(part.scales[Nested.FUSED], -scale[1:3])
    assert part.bias is not None
    assert part.bias.tolist() == [1.0, 2.0]
    assert whole.columns(3, 9).code.shape == (1, 3)
    assert (
        Operands(activation=whole.activation, code=scale, scales=whole.scales, bias=None, stored=torch.float16).columns(0, 1).bias is None
    )
