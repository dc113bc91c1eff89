"""Judged quantizing: bitsandbytes' own on the CPU is right, and whatever part of it is made wrong is named."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fuzz.engine.calls import Prepared, prepare
from fuzz.engine.judge import Question
from fuzz.engine.judge_quantize import judge_quantized
from fuzz.engine.library import inspect_library
from fuzz.engine.runner import QUANTIZE_PATH
from fuzz.engine.tensors import FLOAT_DTYPES, Inputs, build
from fuzz.engine.verdict import Grade, PathVerdict, Ruling, Symptom
from fuzz.oracle.codebooks import CODES, dynamic_map
from strategies import fields
from strategies.case import BLOCKSIZES, Case, Fill, FloatDType, Layout, Quantization, QuantType, StorageDType, Weight
from tests.fuzz.engine.helpers import FUSED, packed_indices, question_of

CPU = inspect_library("cpu")
CASE = Case(weight=Weight(out_features=24, in_features=64, fill=Fill.NORMAL), quantization=Quantization(blocksize=64))
NESTED = dataclasses.replace(CASE, quantization=dataclasses.replace(CASE.quantization, compress_statistics=True))


def judged(prepared: Prepared) -> PathVerdict:
    asked = dataclasses.replace(question_of(prepared, "dequantize_4bit"), path=QUANTIZE_PATH)
    verdict = judge_quantized(asked, prepared)
    assert PathVerdict.from_json(json.loads(json.dumps(verdict.to_json(), allow_nan=False))) == verdict
    return verdict


def quantized(case: Case) -> Prepared:
    """What bitsandbytes makes of the weight of a Case, on the CPU."""
    return prepare(case, build(case), CPU)


def changed(prepared: Prepared, **fields: Any) -> Prepared:
    """With other fields of the state."""
    state = SimpleNamespace(**{name: getattr(prepared.state, name) for name in ("absmax", "shape", "code", "state2", "offset", "nested")})
    for name, value in fields.items():
        setattr(state, name, value)
    return dataclasses.replace(prepared, state=state)


def put(tensor: torch.Tensor, place: int, value: float) -> torch.Tensor:
    other = tensor.clone()
    other[place] = value
    return other


def second(prepared: Prepared, **fields: Any) -> Prepared:
    """With other fields of the second level."""
    inner = {"code": prepared.state.state2.code, "absmax": prepared.state.state2.absmax, **fields}
    return changed(prepared, state2=SimpleNamespace(**inner))


@pytest.mark.parametrize("quant_type", QuantType)
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", FloatDType)
@pytest.mark.parametrize("fill", Fill)
def test_bitsandbytes_quantizes_every_fill_rightly(quant_type: QuantType, compress: bool, dtype: FloatDType, fill: Fill) -> None:  # noqa: FBT001
    for seed, blocksize in enumerate((64, 128)):
        case = Case(
            weight=Weight(out_features=48, in_features=130, dtype=dtype, fill=fill, layout=list(Layout)[seed]),
            quantization=Quantization(quant_type=quant_type, blocksize=blocksize, compress_statistics=compress),
            seed=seed,
        )
        verdict = judged(quantized(case))
        assert verdict.symptom is None, f"{verdict.how}: expected {verdict.expected}, got {verdict.got}"
        assert (verdict.path, verdict.surface) == ("quantize_4bit", "functional.quantize_4bit")


@pytest.mark.parametrize("blocksize", BLOCKSIZES)
@pytest.mark.parametrize("storage", StorageDType)
@pytest.mark.parametrize("compress", [False, True])
def test_bitsandbytes_quantizes_for_every_blocksize_and_storage_rightly(blocksize: int, storage: StorageDType, compress: bool) -> None:  # noqa: FBT001
    quantization = Quantization(blocksize=blocksize, storage=storage, compress_statistics=compress)
    case = Case(weight=Weight(out_features=72, in_features=64, fill=Fill.NORMAL), quantization=quantization)
    assert judged(quantized(case)).symptom is None


@pytest.mark.parametrize("quant_type", QuantType)
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", FloatDType)
def test_blocks_of_zeros_are_quantized_rightly(quant_type: QuantType, compress: bool, dtype: FloatDType) -> None:  # noqa: FBT001
    """Not compressed: the offset may leave a scale beside zero, but zero times any scale is zero."""
    case = Case(weight=Weight(out_features=4, in_features=64, dtype=dtype), quantization=Quantization(quant_type=quant_type))
    case = dataclasses.replace(case, quantization=dataclasses.replace(case.quantization, compress_statistics=compress))
    weight = torch.zeros(4, 64)
    weight[1] = torch.linspace(-1, 1, 64)
    inputs = Inputs(weight.to(FLOAT_DTYPES[dtype]), torch.ones(64), None)
    assert judged(prepare(case, inputs, CPU)).symptom is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_of_a_weight_that_is_not_finite_nothing_is_said(value: float) -> None:
    prepared = quantized(CASE)
    weight = prepared.weight.clone()
    weight[3, 3] = value
    assert judged(dataclasses.replace(prepared, weight=weight)).symptom is None


@pytest.mark.parametrize(
    ("change", "symptom", "how", "expected", "got"),
    [
        (
            lambda one: dataclasses.replace(one, packed=one.packed[:-1]),
            Symptom.WRONG_SHAPE,
            "packed weight too short",
            "room for 1536 elements: 768 bytes",
            "767 bytes",
        ),
        (
            lambda one: dataclasses.replace(one, packed=one.packed.view(torch.int8)),
            Symptom.WRONG_DTYPE,
            "dtype of the packed weight",
            "dtype of the packed weight: torch.uint8",
            "torch.int8",
        ),
        (
            lambda one: changed(one, absmax=one.state.absmax[:-1]),
            Symptom.WRONG_SHAPE,
            "blocks of statistics",
            "blocks of statistics: 24",
            "23",
        ),
        (
            lambda one: changed(one, shape=torch.Size((64, 24))),
            Symptom.WRONG_SHAPE,
            "shape of the state",
            "shape of the state: (24, 64)",
            "(64, 24)",
        ),
    ],
)
def test_sizes_come_before_numbers(change: Callable[[Prepared], Prepared], symptom: Symptom, how: str, expected: str, got: str) -> None:
    for case in (CASE, NESTED):
        verdict = judged(change(quantized(case)))
        assert (verdict.symptom, verdict.how, verdict.grade) == (symptom, how, None)
        assert (verdict.expected, verdict.got) == (expected, got)


def test_room_for_more_is_no_fault() -> None:
    prepared = quantized(CASE)
    longer = torch.cat((prepared.packed, torch.full((5, 1), 255, dtype=torch.uint8)))
    assert judged(dataclasses.replace(prepared, packed=longer)).symptom is None


def assert_wrong(prepared: Prepared, how: str, index: int, count: int = 1) -> PathVerdict:
    verdict = judged(prepared)
    assert (verdict.symptom, verdict.how, verdict.grade) == (Symptom.WRONG_VALUE, how, Grade.DEFINITE)
    assert verdict.expected.startswith(f"{how}: ")
    assert verdict.expected.endswith(f" at flat index {index}")
    assert verdict.got.endswith(f"; {count} are wrong")
    return verdict


@pytest.mark.parametrize(
    "case", [CASE, NESTED, fields.replace(CASE, "weight.fill", Fill.NAN), fields.replace(NESTED, "weight.fill", Fill.INFINITE)]
)
def test_a_wrong_entry_of_the_code_table(case: Case) -> None:
    prepared = quantized(case)
    table = put(prepared.state.code, 5, float(prepared.state.code[5]) * (1 + 2.0**-23))
    verdict = assert_wrong(changed(prepared, code=table), "code table", 5)
    assert verdict.expected == "code table: -0.18477343 at flat index 5"


@pytest.mark.parametrize("factor", [1 + 2.0**-23, 1 - 2.0**-23, 0.5, 0.0, -1.0, math.inf, math.nan])
def test_a_wrong_scale(factor: float) -> None:
    prepared = quantized(CASE)
    right = float(prepared.state.absmax[7])
    verdict = assert_wrong(changed(prepared, absmax=put(prepared.state.absmax, 7, right * factor)), "scales", 7)
    assert verdict.expected == f"scales: {right:.9g} at flat index 7"
    assert verdict.errors is not None
    assert verdict.errors.shape == (1, prepared.state.absmax.numel()), "the scales in a row"
    assert [place for place, mark in enumerate(verdict.errors.wrong[0]) if mark == "x"] == [7 // verdict.errors.tile[1]]


def test_the_scale_of_a_neighbouring_block() -> None:
    prepared = quantized(CASE)
    assert_wrong(changed(prepared, absmax=prepared.state.absmax.roll(1)), "scales", _furthest(prepared.state.absmax), 24)


def _furthest(absmax: torch.Tensor) -> int:
    return int((absmax - absmax.roll(1)).abs().argmax())


def _nibble(prepared: Prepared, place: int, change: Callable[[int], int]) -> Prepared:
    """With another code for one element."""
    packed = prepared.packed.flatten().clone()
    shift = 4 if place % 2 == 0 else 0
    old = int(packed[place // 2]) >> shift & 15
    packed[place // 2] = int(packed[place // 2]) & ~(15 << shift) | change(old) << shift
    return dataclasses.replace(prepared, packed=packed.reshape(-1, 1))


@pytest.mark.parametrize("case", [CASE, NESTED])
@pytest.mark.parametrize("place", [0, 1, 640, 1535])
def test_a_code_beside_the_nearest(case: Case, place: int) -> None:
    prepared = quantized(case)
    wrong = _nibble(prepared, place, lambda code: code + 1 if code < 8 else code - 1)
    verdict = assert_wrong(wrong, "codes", place)
    assert verdict.expected == f"codes: {float(prepared.weight.flatten()[place]):.9g} at flat index {place}"
    grid = verdict.errors
    assert grid is not None
    assert grid.shape == tuple(prepared.weight.shape), "over the weight"
    row, column = divmod(place, prepared.weight.shape[1])
    marked = [(down, right) for down, text in enumerate(grid.wrong) for right, mark in enumerate(text) if mark == "x"]
    assert marked == [(row // grid.tile[0], column // grid.tile[1])]


def test_the_two_codes_of_a_byte_exchanged() -> None:
    prepared = quantized(CASE)
    packed = prepared.packed.clone()
    byte = int(packed[300])
    packed[300] = byte % 16 * 16 + byte // 16
    assert byte // 16 != byte % 16
    verdict = judged(dataclasses.replace(prepared, packed=packed))
    assert (verdict.symptom, verdict.how) == (Symptom.WRONG_VALUE, "codes")
    assert verdict.got.endswith("; 2 are wrong")


@pytest.mark.parametrize("quant_type", QuantType)
def test_a_block_of_zeros_that_does_not_decode_to_zeros(quant_type: QuantType) -> None:
    """The scale is upstream's guard against a division by zero, and every code is then as near as another."""
    table = torch.tensor(CODES[quant_type])
    zero, one = int(table.abs().argmin()), int(table.argmax())
    index = torch.full((1, 128), zero)
    index[0, 64] = one
    weight = torch.zeros(1, 128)
    weight[0, 64] = 2.0
    case = Case(weight=Weight(in_features=128), quantization=Quantization(quant_type=quant_type))
    state = SimpleNamespace(absmax=torch.tensor([1e-30, 2.0]), shape=torch.Size((1, 128)), code=table, state2=None, offset=None)
    prepared = Prepared(case, CPU, weight, torch.ones(128), None, packed_indices(index), state)
    assert judged(prepared).symptom is None
    index[0, 5] = one
    verdict = assert_wrong(dataclasses.replace(prepared, packed=packed_indices(index)), "blocks of zeros", 5)
    assert verdict.expected == "blocks of zeros: 0 at flat index 5"
    assert verdict.got == f"{float(torch.tensor(1e-30)):.9g}; 1 are wrong"


def test_a_wrong_entry_of_the_8_bit_map() -> None:
    prepared = quantized(NESTED)
    code = prepared.state.state2.code
    verdict = assert_wrong(second(prepared, code=put(code, 200, float(code[200]) * 1.001)), "8-bit map", 200)
    assert verdict.expected == f"8-bit map: {dynamic_map()[200]:.9g} at flat index 200"
    assert judged(second(prepared, code=put(code, 200, float(code[200]) * (1 + 2.0**-22)))).symptom is None


def test_the_lowest_entry_of_the_8_bit_map_may_be_minus_one() -> None:
    """The CPU quantizer puts it there."""
    prepared = quantized(NESTED)
    code = prepared.state.state2.code
    for lowest, right in ((dynamic_map()[0], True), (-1.0, True), (-0.995, False)):
        verdict = judged(second(prepared, code=put(code, 0, lowest)))
        assert (verdict.symptom is None or verdict.how != "8-bit map") == right


@pytest.mark.parametrize("factor", [1.001, 0.999, 0.0, math.nan, -1.0])
def test_a_wrong_offset(factor: float) -> None:
    prepared = quantized(NESTED)
    verdict = assert_wrong(changed(prepared, offset=prepared.state.offset * factor), "offset", 0)
    assert verdict.expected.startswith(f"offset: {float(prepared.weight.abs().amax(1).double().mean()):.9g}")


@pytest.mark.parametrize("factor", [1 + 2.0**-23, 0.5, 2.0, math.nan])
def test_a_wrong_outer_scale(factor: float) -> None:
    case = dataclasses.replace(NESTED, weight=Weight(out_features=600, in_features=64, fill=Fill.NORMAL))
    prepared = quantized(case)
    outer = prepared.state.state2.absmax
    assert outer.numel() == 3
    assert_wrong(second(prepared, absmax=put(outer, 1, float(outer[1]) * factor)), "outer scales", 1)


@pytest.mark.parametrize("step", [-3, 3])
def test_a_wrong_8_bit_code(step: int) -> None:
    prepared = quantized(NESTED)
    absmax = prepared.state.absmax
    index = int(((absmax > 10) & (absmax < 240)).nonzero()[3])
    verdict = assert_wrong(changed(prepared, absmax=put(absmax, index, int(absmax[index]) + step)), "8-bit codes", index)
    shifted = prepared.weight.abs().amax(1) - prepared.state.offset
    assert verdict.expected == f"8-bit codes: {float(shifted[index]):.9g} at flat index {index}"


def test_what_the_cpus_lookup_may_miss_is_a_fault_on_a_gpu() -> None:
    """The CPU looks the 8-bit code up in a table of 65,536 steps, which may be half a step off; a GPU compares."""
    prepared = _beyond_a_threshold()
    assert judged(prepared).symptom is None
    verdict = assert_wrong(dataclasses.replace(prepared, library=FUSED), "8-bit codes", 2)
    assert verdict.path == "quantize_4bit"


def _beyond_a_threshold() -> Prepared:
    """Three blocks, the third with an 8-bit code whose threshold its scale misses by a hundred-thousandth of the largest."""
    code8 = torch.tensor(dynamic_map())
    for step in range(20_000):
        absmax = torch.tensor([2.0, 4.0, 3.5 + step / 50_000])
        offset = absmax.mean()
        shifted = absmax - offset
        outer = shifted.abs().max()[None]
        distance = ((shifted / outer)[:, None].double() - code8[None].double()).abs()
        nearest = distance.topk(2, dim=1, largest=False)
        if 6e-6 < float(nearest.values[2, 1] - nearest.values[2, 0]) < 2e-5:  # twice as far as the threshold
            index = nearest.indices[:, 0].to(torch.uint8)
            index[2] = nearest.indices[2, 1]
            return _of_three_blocks(absmax, SimpleNamespace(absmax=index, offset=offset), SimpleNamespace(code=code8, absmax=outer))
    raise AssertionError("no such scale")


def _of_three_blocks(absmax: torch.Tensor, state: SimpleNamespace, state2: SimpleNamespace) -> Prepared:
    """A weight of one element a block that is not zero."""
    weight, index = torch.zeros(3, 64), torch.full((3, 64), 7)
    weight[:, 0], index[:, 0] = absmax, 15
    case = Case(weight=Weight(out_features=3, in_features=64), quantization=Quantization(compress_statistics=True))
    state.shape, state.code, state.state2 = torch.Size((3, 64)), torch.tensor(CODES[QuantType.NF4]), state2
    return Prepared(case, CPU, weight, torch.ones(64), None, packed_indices(index), state)


def test_the_question_is_carried_into_the_verdict() -> None:
    prepared = quantized(CASE)
    asked = Question(CASE, QUANTIZE_PATH, CPU, dataclasses.replace(question_of(prepared, "dequantize_4bit", Ruling.UNSPECIFIED).row))
    verdict = judge_quantized(asked, prepared)
    assert (verdict.ruling, verdict.source, verdict.symptom) == (Ruling.UNSPECIFIED, "a document", None)
