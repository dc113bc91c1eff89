"""The grid that is measured: everything occurs, and on a large GPU every kernel is reached."""

from __future__ import annotations

import collections

import pytest

from fuzz.calibrate.grid import CLASSES, Setting, Shape, settings, shape_for
from fuzz.engine.dispatch import MOST_ROWS, fused_arm
from fuzz.oracle.arms import Arm
from strategies import fields
from strategies.case import BLOCKSIZES, NON_FINITE, Activation, Case, Fill, FloatDType, Quantization, QuantType, Weight
from tests.fuzz.engine.helpers import H200

DEVICES = ["cpu", "cuda"]


@pytest.fixture(scope="module", params=DEVICES)
def grid(request: pytest.FixtureRequest) -> list[Setting]:
    return list(settings(request.param, BLOCKSIZES))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("quantization.blocksize", set(BLOCKSIZES)),
        ("quantization.quant_type", set(QuantType)),
        ("quantization.compress_statistics", {False, True}),
        ("weight.dtype", set(FloatDType)),
        ("weight.fill", {weight for _, weight in CLASSES}),
    ],
)
def test_every_value_occurs_equally_often(grid: list[Setting], name: str, values: set[object]) -> None:
    counts = collections.Counter(fields.get(setting.case, name) for setting in grid)
    assert set(counts) == values
    if name != "weight.fill":
        assert len(set(counts.values())) == 1


def test_every_combination_occurs_once(grid: list[Setting]) -> None:
    assert len(grid) == len(set(grid)) == len(BLOCKSIZES) * len(CLASSES) * len(FloatDType) * len(QuantType) * 2


def test_every_class_occurs_with_every_blocksize_and_dtype(grid: list[Setting]) -> None:
    classes = collections.defaultdict(set)
    for setting in grid:
        key = (setting.case.quantization.blocksize, setting.case.weight.dtype)
        classes[key].add((setting.activation, setting.case.weight.fill))
    assert len(classes) == len(BLOCKSIZES) * len(FloatDType)
    assert all(found == set(CLASSES) for found in classes.values())


ALIKE = {Fill.STEPPED, Fill.ZEROS, Fill.ZERO_BLOCKS}
"""Their numbers are those of heavy tails, one-hot fills and integers in another order."""


def test_classes_are_different_and_cover_every_fill() -> None:
    assert len(set(CLASSES)) == len(CLASSES)
    assert {fill for pair in CLASSES for fill in pair} == set(Fill) - NON_FINITE - ALIKE - {Fill.SUBNORMAL}  # judged by bounds only


def test_terms_are_whole_blocks_and_outputs_are_even(grid: list[Setting]) -> None:
    for setting in grid:
        assert setting.case.weight.in_features % setting.case.quantization.blocksize == 0
        assert setting.case.weight.out_features % 2 == 0


def test_rows_are_one_and_more_up_to_what_fused_kernels_take(grid: list[Setting]) -> None:
    for setting in grid:
        assert setting.rows[0] == 1
        assert list(setting.rows) == sorted(set(setting.rows))
        assert setting.rows[-1] <= MOST_ROWS


def test_only_the_blocksizes_that_are_asked_for_occur() -> None:
    found = [setting.case.quantization.blocksize for setting in settings("cuda", (256, 64))]
    assert set(found) == {64, 256}
    assert found == sorted(found)


def test_a_setting_is_a_case_with_as_many_rows_as_it_is_given() -> None:
    weight, quantization = Weight(out_features=2, in_features=64, fill=Fill.NORMAL), Quantization(blocksize=64)
    setting = Setting(Case(weight=weight, quantization=quantization), (1, 5), Fill.TINY)
    case = Case(weight=weight, quantization=quantization, activation=Activation(leading=(5,), fill=Fill.TINY), bias=True)
    assert setting.with_rows(5, bias=True) == case
    assert setting.with_rows(5, bias=False) == fields.replace(case, "bias", value=False)


@pytest.mark.parametrize("blocksize", BLOCKSIZES)
@pytest.mark.parametrize("dtype", [FloatDType.FLOAT16, FloatDType.BFLOAT16])
def test_on_an_h200_both_fused_kernels_are_reached_at_every_blocksize(blocksize: int, dtype: FloatDType) -> None:
    arms = {fused_arm(case, H200) for case in _cases(shape_for("cuda", blocksize), blocksize, dtype)}
    assert arms == {Arm.SIMT, Arm.TENSOR_CORE}


@pytest.mark.parametrize("blocksize", BLOCKSIZES)
def test_in_float32_there_is_one_fused_kernel(blocksize: int) -> None:
    cases = _cases(shape_for("cuda", blocksize), blocksize, FloatDType.FLOAT32)
    assert {fused_arm(case, H200) for case in cases} == {Arm.SIMT}


def _cases(shape: Shape, blocksize: int, dtype: FloatDType) -> list[Case]:
    weight = Weight(out_features=shape.outputs, in_features=shape.terms, dtype=dtype)
    setting = Setting(Case(weight=weight, quantization=Quantization(blocksize=blocksize)), shape.rows, Fill.NORMAL)
    return [setting.with_rows(rows, bias=False) for rows in shape.rows]


def test_most_shapes_end_in_the_middle_of_a_round_of_lanes_or_of_a_tile() -> None:
    """A round is 1024 terms and a tile 64 outputs: their tails are code of their own."""
    shapes = [shape_for("cuda", blocksize) for blocksize in BLOCKSIZES]
    assert sum(shape.terms % 1024 != 0 for shape in shapes) >= len(shapes) / 2
    assert all(shape.outputs % 64 != 0 for shape in shapes)
    assert any(rows % 16 != 0 for shape in shapes for rows in shape.rows[1:])
