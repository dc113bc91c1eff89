"""Fields by dotted name."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import fields
from strategies.case import MAX_DIMENSION, Activation, Case, CaseError, Fill, FloatDType, Layout, QuantType, Relation, StorageDType, Weight
from strategies.cases import cases, related_cases
from strategies.misuse import Misuse
from tests.strategies.helpers import BUSY, dotted_names

EVERY = (*fields.CHOICES, *fields.SIZES)
SPREAD = {fields.ROWS, "activation.rank"}
"""Names that say how many rows there are and in how many dimensions, but not how the rows are spread over these."""

any_case = st.one_of(cases(), related_cases())
sizes = st.integers(1, 40)


def told(case: Case) -> dict[str, Any]:
    """All that `get` tells of a Case."""
    return {name: fields.get(case, name) for name in (*EVERY, "seed")}


def with_leading(*leading: int) -> Case:
    return Case(activation=Activation(leading=leading))


@pytest.mark.parametrize("name", fields.CHOICES)
def test_the_first_choice_is_the_neutral_value(name: str) -> None:
    assert fields.get(Case(), name) == fields.CHOICES[name][0] == fields.neutral(name)


@pytest.mark.parametrize("name", fields.CHOICES)
def test_choices_do_not_repeat(name: str) -> None:
    assert len(set(fields.CHOICES[name])) == len(fields.CHOICES[name])


def test_every_field_of_a_case_is_a_choice_or_a_number_that_reduction_knows() -> None:
    """The leading dimensions are known by their number and by that of the rows."""
    known = {*EVERY, "activation.leading", "seed", "format_version"}
    assert dotted_names(Case().to_json()) == known - SPREAD


def test_fills_are_tried_after_everything_else() -> None:
    assert list(fields.CHOICES)[-2:] == list(fields.FILLS) == ["activation.fill", "weight.fill"]


def test_sizes_are_dimensions_and_rows_and_no_choices() -> None:
    assert fields.SIZES == (*fields.DIMENSIONS, fields.ROWS) == ("weight.out_features", "weight.in_features", "activation.rows")
    assert not set(fields.SIZES) & set(fields.CHOICES)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weight.layout", Layout.IN_OUT),
        ("weight.in_features", 130),
        ("bias", True),
        ("activation.leading", (3, 11)),
        ("activation.rows", 33),
        ("activation.rank", 3),
        ("activation.dtype", FloatDType.BFLOAT16),
        ("seed", 77),
    ],
)
def test_get(name: str, value: object) -> None:
    assert fields.get(BUSY, name) == value


@pytest.mark.parametrize("dtype", FloatDType)
def test_the_dtype_of_an_activation_is_the_one_that_it_has(dtype: FloatDType) -> None:
    weight = Weight(dtype=dtype)
    assert fields.get(Case(weight=weight), "activation.dtype") is dtype
    for other in FloatDType:
        assert fields.get(Case(weight=weight, activation=Activation(dtype=other)), "activation.dtype") is other


def test_replace_changes_one_field_and_leaves_the_rest() -> None:
    changed = fields.replace(BUSY, "weight.fill", Fill.ONE_HOT)
    assert fields.get(changed, "weight.fill") is Fill.ONE_HOT
    assert fields.replace(changed, "weight.fill", Fill.NORMAL) == BUSY
    assert fields.get(fields.replace(BUSY, "bias", value=False), "bias") is False


@pytest.mark.parametrize("dtype", FloatDType)
def test_another_weight_dtype_leaves_the_activation_its_own(dtype: FloatDType) -> None:
    changed = fields.replace(Case(), "weight.dtype", dtype)
    assert changed.weight.dtype is dtype
    assert changed.activation_dtype is FloatDType.FLOAT32


def test_a_dtype_is_named_only_where_it_is_not_that_of_the_weight() -> None:
    half = fields.replace(Case(), "weight.dtype", FloatDType.FLOAT16)
    assert half.activation.dtype is FloatDType.FLOAT32
    assert fields.replace(half, "activation.dtype", FloatDType.FLOAT16).activation.dtype is None
    assert fields.replace(half, "weight.dtype", FloatDType.FLOAT32) == Case()


@pytest.mark.parametrize(
    ("leading", "rows", "changed"),
    [
        ((), 1, ()),
        ((), 7, (7,)),
        ((1,), 7, (7,)),
        ((5,), 1, (1,)),
        ((5,), 7, (7,)),
        ((1, 1), 7, (1, 7)),
        ((3, 11), 7, (1, 7)),
        ((3, 11), 1, (1, 1)),
        ((3, 11), 33, (1, 33)),
    ],
)
def test_replacing_the_rows_keeps_the_rank_where_it_can(leading: tuple[int, ...], rows: int, changed: tuple[int, ...]) -> None:
    assert fields.replace(with_leading(*leading), fields.ROWS, rows) == with_leading(*changed)


@pytest.mark.parametrize(
    ("leading", "rank", "changed"),
    [
        ((), 1, ()),
        ((), 2, (1,)),
        ((), 3, (1, 1)),
        ((1,), 1, ()),
        ((1, 1), 1, ()),
        ((7,), 2, (7,)),
        ((7,), 3, (1, 7)),
        ((3, 11), 2, (33,)),
        ((3, 11), 3, (1, 33)),
    ],
)
def test_replacing_the_rank_keeps_the_rows(leading: tuple[int, ...], rank: int, changed: tuple[int, ...]) -> None:
    assert fields.replace(with_leading(*leading), "activation.rank", rank) == with_leading(*changed)


@pytest.mark.parametrize("leading", [(2,), (3, 11)])
def test_several_rows_do_not_fit_into_one_dimension(leading: tuple[int, ...]) -> None:
    rows = fields.get(with_leading(*leading), fields.ROWS)
    with pytest.raises(CaseError, match=f"^an activation of rank 1 has no {rows} rows$"):
        fields.replace(with_leading(*leading), "activation.rank", 1)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("weight.in_features", -1, r"weight\.in_features is -1"),
        ("weight.out_features", MAX_DIMENSION + 1, r"weight\.out_features is 65537"),
        ("activation.rows", -1, r"activation\.leading is -1"),
        ("activation.rows", MAX_DIMENSION + 1, r"activation\.leading is 65537"),
        ("activation.rank", 4, r"activation\.leading has more than 2 dimensions"),
        ("quantization.blocksize", 48, "blocksize 48"),
        ("seed", -1, "seed -1"),
    ],
)
def test_replace_refuses_what_is_no_case(name: str, value: object, words: str) -> None:
    with pytest.raises(CaseError, match=words):
        fields.replace(Case(), name, value)


@pytest.mark.parametrize("name", [name for name in fields.CHOICES if name != "activation.rank"])
def test_replacing_every_field_by_its_neutral_value_is_always_possible(name: str) -> None:
    assert fields.get(fields.replace(BUSY, name, fields.neutral(name)), name) == fields.neutral(name)


def test_a_rank_is_made_neutral_after_the_rows() -> None:
    one_row = fields.replace(BUSY, fields.ROWS, 1)
    assert fields.replace(one_row, "activation.rank", fields.neutral("activation.rank")).activation.leading == ()


@given(any_case, st.sampled_from((*EVERY, "seed", "activation.leading")))
def test_replacing_a_field_by_its_own_value_changes_nothing(case: Case, name: str) -> None:
    changed = fields.replace(case, name, fields.get(case, name))
    assert told(changed) == told(case)
    if name in SPREAD:  # how rows are spread is not told: they end up in the last dimension
        case = dataclasses.replace(case, activation=dataclasses.replace(case.activation, leading=changed.activation.leading))
        assert changed.activation.rows == 1 or set(changed.activation.leading[:-1]) <= {1}
    assert fields.canonical(changed) == fields.canonical(case)


@given(any_case, st.data())
def test_replacing_a_field_changes_nothing_else(case: Case, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(EVERY))
    value = data.draw(sizes if name in fields.SIZES else st.sampled_from(fields.CHOICES[name]))
    if name == "activation.rank" and value == 1 and case.activation.rows > 1:
        case = fields.replace(case, fields.ROWS, 1)  # several rows do not fit into one dimension
    expected = told(case) | {name: value}
    if name == fields.ROWS and value > 1 and case.activation.rank == 1:
        expected["activation.rank"] = 2  # and need a second one
    assert told(fields.replace(case, name, value)) == expected


@given(any_case, st.data())
def test_a_field_can_be_put_back(case: Case, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([name for name in EVERY if name not in SPREAD]))
    value = data.draw(sizes if name in fields.SIZES else st.sampled_from(fields.CHOICES[name]))
    back = fields.replace(fields.replace(case, name, value), name, fields.get(case, name))
    assert fields.canonical(back) == fields.canonical(case)


@given(any_case)
def test_a_canonical_case_is_the_same_input_written_in_one_way(case: Case) -> None:
    once = fields.canonical(case)
    assert told(once) == told(case)
    assert once.activation.leading == case.activation.leading
    assert fields.canonical(once) == once
    assert once.activation.dtype is not once.weight.dtype
    named = dataclasses.replace(case, activation=dataclasses.replace(case.activation, dtype=case.activation_dtype))
    assert fields.canonical(named) == once


@pytest.mark.parametrize("name", fields.CHOICES)
def test_duller_values_come_before_and_the_dullest_first(name: str) -> None:
    choices = fields.CHOICES[name]
    assert fields.duller(name, choices[0]) == ()
    assert fields.duller(name, choices[-1]) == (choices[:1] if name == "execution.misuse" else choices[:-1])
    assert all(fields.duller(name, value)[0] == choices[0] for value in choices[1:])


def test_a_wrong_call_is_duller_than_another_only_if_one_check_is_missing_for_both() -> None:
    assert fields.duller("execution.misuse", Misuse.META_OUT) == (Misuse.NONE, Misuse.DEEP_OUT, Misuse.OTHER_OUT)
    assert fields.duller("execution.misuse", Misuse.SHORT_ACTIVATION) == (Misuse.NONE, Misuse.LONG_ACTIVATION)
    assert fields.duller("execution.misuse", Misuse.DOUBLE_ACTIVATION) == (Misuse.NONE,)


def test_what_may_be_the_same_defect() -> None:
    assert fields.alike("weight.layout", Layout.IN_OUT) == (Layout.IN_OUT,)
    assert fields.alike("quantization.storage", StorageDType.FLOAT16) == tuple(StorageDType)[1:]
    assert fields.alike("execution.relation", Relation.SIGN) == (Relation.SIGN,)
    assert fields.alike("execution.misuse", Misuse.SHORT_ABSMAX) == (Misuse.SHORT_ABSMAX,)
    families = [fields.alike("execution.misuse", misuse) for misuse in Misuse if misuse is not Misuse.NONE]
    assert all(fields.alike("execution.misuse", misuse) == family for family in families for misuse in family)


def test_triggers_of_the_neutral_case_are_none() -> None:
    assert fields.triggers(Case()) == {}


def test_triggers_are_the_fields_that_are_not_neutral_as_json() -> None:
    case = fields.replace(fields.replace(Case(), "weight.dtype", FloatDType.FLOAT16), "quantization.blocksize", 128)
    assert fields.triggers(case) == {"weight.dtype": "float16", "quantization.blocksize": 128}
    assert set(fields.triggers(BUSY)) == set(fields.CHOICES)
    assert json.loads(json.dumps(fields.triggers(BUSY))) == fields.triggers(BUSY)


def test_an_activation_that_follows_its_weight_is_a_trigger_too() -> None:
    """Which of the two the failure needs is for reduction to find out."""
    assert fields.triggers(Case(weight=Weight(dtype=FloatDType.FLOAT16))) == {"weight.dtype": "float16", "activation.dtype": "float16"}


@pytest.mark.parametrize(
    ("leading", "triggers"),
    [((), {}), ((1,), {"activation.rank": 2}), ((9,), {}), ((1, 1), {"activation.rank": 3}), ((1, 9), {"activation.rank": 3})],
)
def test_a_rank_is_a_trigger_unless_the_rows_need_it(leading: tuple[int, ...], triggers: dict[str, int]) -> None:
    assert fields.triggers(with_leading(*leading)) == triggers


def test_sizes_and_seeds_are_no_triggers() -> None:
    case = fields.replace(fields.replace(Case(), "weight.in_features", 777), "activation.leading", (9,))
    assert fields.triggers(fields.replace(case, "seed", 5)) == {}


@given(any_case)
def test_triggers_can_be_read_back(case: Case) -> None:
    for name, value in fields.triggers(case).items():
        assert fields.parse_value(name, value) == fields.get(case, name) != fields.neutral(name)


@pytest.mark.parametrize(("value", "plain"), [(Layout.IN_OUT, "in_out"), (FloatDType.FLOAT16, "float16"), (True, True), (64, 64), (2, 2)])
def test_a_value_as_json_has_it(value: object, plain: object) -> None:
    assert fields.json_value(value) == plain
    assert type(fields.json_value(value)) is type(plain)


@pytest.mark.parametrize("name", fields.CHOICES)
def test_every_value_of_a_choice_can_be_written_and_read(name: str) -> None:
    for choice in fields.CHOICES[name]:
        assert fields.parse_value(name, json.loads(json.dumps(fields.json_value(choice)))) is choice


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bias", 1),
        ("bias", "true"),
        ("bias", None),
        ("quantization.blocksize", 48),
        ("quantization.blocksize", "64"),
        ("quantization.blocksize", 64.0),
        ("activation.rank", True),
        ("activation.rank", 0),
        ("weight.layout", "sideways"),
        ("weight.layout", ["in_out"]),
        ("quantization.quant_type", QuantType.FP4),
        ("weight.fill", "!=ones"),
        ("activation.dtype", None),
    ],
)
def test_another_value_is_refused_in_one_sentence_with_the_choices(name: str, value: object) -> None:
    with pytest.raises(CaseError) as caught:
        fields.parse_value(name, value)
    choices = ", ".join(str(fields.json_value(choice)) for choice in fields.CHOICES[name])
    assert str(caught.value) == f"{name} is {value!r}, not one of {choices}"


@pytest.mark.parametrize("name", [*fields.SIZES, "seed", "activation.leading", "colour", ""])
def test_what_is_no_choice_is_refused_by_name(name: str) -> None:
    with pytest.raises(CaseError) as caught:
        fields.parse_value(name, 1)
    assert str(caught.value) == f"{name!r} is not a field with choices; they are {', '.join(fields.CHOICES)}"
