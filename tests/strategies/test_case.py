"""The vocabulary: JSON both ways, what is refused and in which words, neutral values."""

from __future__ import annotations

import copy
import dataclasses
import enum
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given

from strategies.case import (
    BLOCKSIZES,
    MAX_DIMENSION,
    MAX_ELEMENTS,
    MAX_SEED,
    Activation,
    Case,
    CaseError,
    Execution,
    Fill,
    FloatDType,
    Layout,
    PackedView,
    Quantization,
    QuantType,
    StorageDType,
    Weight,
)
from strategies.cases import cases
from tests.strategies.helpers import BUSY, dotted_names


def changed(name: str, value: object) -> dict[str, Any]:
    """`Case()` as JSON with one field, dotted, set to `value`."""
    data = copy.deepcopy(Case().to_json())
    *parents, leaf = name.split(".")
    place = data
    for parent in parents:
        place = place[parent]
    place[leaf] = value
    return data


def refusal(data: object) -> str:
    with pytest.raises(CaseError) as caught:
        Case.from_json(data)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


@given(cases())
def test_json_round_trip(case: Case) -> None:
    assert Case.from_json(json.loads(json.dumps(case.to_json()))) == case


def test_json_round_trip_of_a_case_without_neutral_fields() -> None:
    assert Case.from_json(json.loads(json.dumps(BUSY.to_json()))) == BUSY


def test_json_is_plain_data_with_a_version() -> None:
    data = BUSY.to_json()
    assert data["format_version"] == 1
    assert data["weight"] == {"out_features": 5, "in_features": 130, "layout": "in_out", "dtype": "float16", "fill": "normal"}
    assert data["activation"] == {"leading": [3, 11], "dtype": "bfloat16", "fill": "cancelling"}


def test_the_default_case_is_all_neutral() -> None:
    assert Case() == Case(
        weight=Weight(out_features=1, in_features=1, layout=Layout.OUT_IN, dtype=FloatDType.FLOAT32, fill=Fill.ONES),
        quantization=Quantization(quant_type=QuantType.NF4, blocksize=64, compress_statistics=False, storage=StorageDType.UINT8),
        packed=PackedView.RETURNED,
        activation=Activation(leading=(), dtype=None, fill=Fill.ONES),
        bias=False,
        execution=Execution(grad=False),
        seed=0,
    )


def _leaves(value: object) -> Iterator[tuple[object, str]]:
    assert dataclasses.is_dataclass(value)
    for item in dataclasses.fields(value):
        if dataclasses.is_dataclass(getattr(value, item.name)):
            yield from _leaves(getattr(value, item.name))
        else:
            yield value, item.name


def test_every_enum_field_defaults_to_its_first_and_dullest_member() -> None:
    for owner, name in _leaves(Case()):
        value = getattr(owner, name)
        if isinstance(value, enum.Enum):
            assert value is next(iter(type(value))), name


@pytest.mark.parametrize("name", sorted(dotted_names(Case().to_json()) - {"format_version"}))
def test_an_old_file_without_a_field_gets_the_neutral_value(name: str) -> None:
    data = BUSY.to_json()
    *parents, leaf = name.split(".")
    place = data
    for parent in parents:
        place = place[parent]
    del place[leaf]
    loaded = Case.from_json(data).to_json()
    neutral: Any = Case().to_json()
    for part in name.split("."):
        loaded, neutral = loaded[part], neutral[part]
    assert loaded == neutral


@pytest.mark.parametrize("part", ["weight", "quantization", "activation", "execution"])
def test_an_old_file_without_a_whole_part_gets_the_neutral_part(part: str) -> None:
    data = BUSY.to_json()
    del data[part]
    assert getattr(Case.from_json(data), part) == getattr(Case(), part)


def test_only_a_version_is_the_default_case() -> None:
    assert Case.from_json({"format_version": 1}) == Case()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weight.out_features", -1),
        ("weight.out_features", True),
        ("weight.out_features", 1.0),
        ("weight.out_features", "1"),
        ("weight.out_features", None),
        ("weight.in_features", -1),
        ("weight.in_features", MAX_DIMENSION + 1),
        ("weight.in_features", 10**30),
        ("weight.in_features", [1]),
        ("weight.layout", "sideways"),
        ("weight.layout", None),
        ("weight.layout", []),
        ("weight.dtype", "float64"),
        ("weight.dtype", None),
        ("weight.fill", 0),
        ("weight", None),
        ("weight", []),
        ("weight", 3),
        ("quantization", "nf4"),
        ("quantization.quant_type", "int4"),
        ("quantization.blocksize", True),
        ("quantization.blocksize", 64.0),
        ("quantization.compress_statistics", 1),
        ("quantization.compress_statistics", "true"),
        ("quantization.storage", "int8"),
        ("packed", True),
        ("packed", {}),
        ("activation", None),
        ("activation.dtype", "int8"),
        ("activation.dtype", False),
        ("activation.fill", "random"),
        ("activation.leading", None),
        ("activation.leading", 4),
        ("activation.leading", "12"),
        ("activation.leading", [-1]),
        ("activation.leading", [True]),
        ("activation.leading", [1.5]),
        ("activation.leading", [[1]]),
        ("activation.leading", [1, 1, 1]),
        ("activation.leading", [1, 2, 3, 4]),
        ("bias", 0),
        ("bias", None),
        ("execution", []),
        ("execution.grad", 1),
        ("seed", True),
        ("seed", -1),
        ("seed", MAX_SEED + 1),
        ("seed", 0.5),
        ("seed", None),
    ],
)
def test_a_bad_value_is_refused_in_one_sentence_that_names_the_field(name: str, value: object) -> None:
    assert name in refusal(changed(name, value))


def test_a_blocksize_that_no_release_documents_is_refused() -> None:
    message = refusal(changed("quantization.blocksize", 48))
    assert "blocksize 48" in message
    assert all(str(size) in message for size in BLOCKSIZES)


def test_a_bad_choice_is_told_what_there_is_to_choose_from() -> None:
    message = refusal(changed("packed", "folded"))
    assert "'folded'" in message
    assert "returned, transposed" in message


@pytest.mark.parametrize("name", ["colour", "weight.stride", "quantization.code", "activation.rows", "execution.device"])
def test_an_unknown_field_is_refused(name: str) -> None:
    assert refusal(changed(name, 1)) == f"unknown field {name}"


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_format_version_is_refused(version: object) -> None:
    message = refusal({**Case().to_json(), "format_version": version})
    assert "format_version" in message
    assert repr(version) in message


def test_a_file_without_a_version_is_refused() -> None:
    assert "format_version" in refusal({"weight": {}})


@pytest.mark.parametrize("data", [None, [], "case", 1, True])
def test_what_is_not_an_object_is_refused(data: object) -> None:
    assert refusal(data) == "a Case is a JSON object"


@pytest.mark.parametrize(
    ("out_features", "in_features", "leading", "what"),
    [
        (2**16, 2**9 + 1, [], "weight"),
        (1, 2**9 + 1, [2**16], "activation"),
        (1, 2**9 + 1, [2**8, 2**8], "activation"),
        (2**9 + 1, 1, [2**16], "result"),
    ],
)
def test_a_tensor_with_too_many_elements_is_refused(out_features: int, in_features: int, leading: list[int], what: str) -> None:
    data = Case().to_json()
    data["weight"] |= {"out_features": out_features, "in_features": in_features}
    data["activation"]["leading"] = leading
    assert refusal(data).startswith(f"the {what} has more than ")


def test_the_largest_allowed_sizes_are_accepted() -> None:
    assert Case(weight=Weight(out_features=2**9, in_features=2**16)).weight.elements == MAX_ELEMENTS
    assert Case(activation=Activation(leading=(2**16,)), seed=MAX_SEED).activation.rows == 2**16


def test_a_case_cannot_be_built_outside_of_its_range_either() -> None:
    with pytest.raises(CaseError, match=r"weight\.in_features is -1"):
        Case(weight=Weight(in_features=-1))
    with pytest.raises(CaseError, match="blocksize 48"):
        Case(quantization=Quantization(blocksize=48))


def test_a_case_is_a_frozen_key() -> None:
    assert {Case(): 1}[Case()] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        Case().bias = True  # type: ignore[misc]


def test_shapes() -> None:
    assert BUSY.weight.stored_shape == (130, 5)
    assert dataclasses.replace(BUSY.weight, layout=Layout.OUT_IN).stored_shape == (5, 130)
    assert BUSY.activation.rows == 33
    assert BUSY.activation.rank == 3
    assert BUSY.output_shape == (3, 11, 5)
    assert Case().activation.rows == 1
    assert Case().output_shape == (1,)


def test_the_activation_takes_the_dtype_of_the_weight_unless_it_has_its_own() -> None:
    assert BUSY.activation_dtype is FloatDType.BFLOAT16
    assert Case(weight=Weight(dtype=FloatDType.FLOAT16)).activation_dtype is FloatDType.FLOAT16
