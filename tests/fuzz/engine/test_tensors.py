"""Equal Cases build equal tensors; layout and streams."""

from __future__ import annotations

import pytest
import torch

from fuzz.engine.tensors import FLOAT_DTYPES, STORAGE_DTYPES, build
from strategies import fields
from strategies.case import Activation, Case, Fill, FloatDType, Layout, StorageDType, Weight
from strategies.fills import FILLS

CASE = Case(
    weight=Weight(out_features=6, in_features=10, fill=Fill.NORMAL, dtype=FloatDType.FLOAT16),
    activation=Activation(leading=(2, 3), fill=Fill.HEAVY_TAILED, dtype=FloatDType.BFLOAT16),
    bias=True,
    seed=4,
)


def test_shapes_and_dtypes() -> None:
    inputs = build(CASE)
    assert inputs.weight.shape == (6, 10)
    assert inputs.weight.dtype == torch.float16
    assert inputs.activation.shape == (2, 3, 10)
    assert inputs.activation.dtype == torch.bfloat16
    assert inputs.bias is not None
    assert inputs.bias.shape == (6,)
    assert inputs.bias.dtype == torch.bfloat16


def test_no_bias_unless_the_case_says_so() -> None:
    assert build(fields.replace(CASE, "bias", value=False)).bias is None


def test_equal_cases_build_equal_tensors() -> None:
    first, second = build(CASE), build(CASE)
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.activation, second.activation)


def test_the_layout_turns_the_same_numbers_around() -> None:
    turned = build(fields.replace(CASE, "weight.layout", Layout.IN_OUT)).weight
    assert turned.shape == (10, 6)
    assert turned.is_contiguous()
    assert torch.equal(turned.t(), build(CASE).weight)


def test_the_tensors_of_a_case_and_those_of_the_next_seed_are_filled_differently() -> None:
    filled = [fields.replace(fields.replace(CASE, "weight.fill", Fill.INTEGERS), "activation.fill", Fill.INTEGERS)]
    filled.append(fields.replace(filled[0], "seed", 5))
    rows = []
    for case in filled:
        inputs = build(case)
        assert inputs.bias is not None
        rows += [inputs.weight[0, :6], inputs.activation[0, 0, :6], inputs.bias]
    assert len({tuple(row.tolist()) for row in rows}) == 6


def test_fills_are_rounded_once_to_the_dtype() -> None:
    exact = FILLS[Fill.NORMAL]((6, 10), 12)
    assert torch.equal(build(CASE).weight, exact.float().half())


@pytest.mark.parametrize("dtype", FloatDType)
def test_names_are_those_of_torch(dtype: FloatDType) -> None:
    assert FLOAT_DTYPES[dtype] is getattr(torch, dtype.value)


@pytest.mark.parametrize("storage", StorageDType)
def test_storage_sizes_are_those_of_torch(storage: StorageDType) -> None:
    assert STORAGE_DTYPES[storage] is getattr(torch, storage.value)
    assert STORAGE_DTYPES[storage].itemsize == storage.itemsize
