"""Fields by dotted name."""

from __future__ import annotations

import json

import pytest

from strategies import fields
from strategies.case import Case, CaseError, Fill, FloatDType, Layout
from tests.strategies.helpers import BUSY, dotted_names


@pytest.mark.parametrize("name", fields.CHOICES)
def test_the_first_choice_is_the_neutral_value(name: str) -> None:
    assert fields.get(Case(), name) == fields.CHOICES[name][0] == fields.neutral(name)


@pytest.mark.parametrize("name", fields.CHOICES)
def test_choices_do_not_repeat(name: str) -> None:
    assert len(set(fields.CHOICES[name])) == len(fields.CHOICES[name])


def test_every_field_of_a_case_is_a_choice_or_a_number_that_reduction_knows() -> None:
    numbers = {"activation.leading", "seed", "format_version"}
    assert dotted_names(Case().to_json()) == set(fields.CHOICES) | set(fields.DIMENSIONS) | numbers


def test_fills_are_tried_after_everything_else() -> None:
    assert list(fields.CHOICES)[-2:] == ["activation.fill", "weight.fill"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("weight.layout", Layout.IN_OUT), ("weight.in_features", 130), ("bias", True), ("activation.leading", (3, 11)), ("seed", 77)],
)
def test_get(name: str, value: object) -> None:
    assert fields.get(BUSY, name) == value


def test_replace_changes_one_field_and_leaves_the_rest() -> None:
    changed = fields.replace(BUSY, "weight.fill", Fill.ONE_HOT)
    assert fields.get(changed, "weight.fill") is Fill.ONE_HOT
    assert fields.replace(changed, "weight.fill", Fill.NORMAL) == BUSY
    assert fields.get(fields.replace(BUSY, "bias", value=False), "bias") is False


@pytest.mark.parametrize("name", fields.CHOICES)
def test_replacing_every_field_by_its_neutral_value_is_always_possible(name: str) -> None:
    assert fields.get(fields.replace(BUSY, name, fields.neutral(name)), name) == fields.neutral(name)


def test_replace_refuses_what_is_no_case() -> None:
    with pytest.raises(CaseError, match=r"weight\.in_features"):
        fields.replace(Case(), "weight.in_features", 0)


def test_triggers_of_the_neutral_case_are_none() -> None:
    assert fields.triggers(Case()) == {}


def test_triggers_are_the_fields_that_are_not_neutral_as_json() -> None:
    case = fields.replace(fields.replace(Case(), "weight.dtype", FloatDType.FLOAT16), "quantization.blocksize", 128)
    assert fields.triggers(case) == {"weight.dtype": "float16", "quantization.blocksize": 128}
    assert set(fields.triggers(BUSY)) == set(fields.CHOICES)
    assert json.loads(json.dumps(fields.triggers(BUSY))) == fields.triggers(BUSY)


def test_sizes_and_seeds_are_no_triggers() -> None:
    case = fields.replace(fields.replace(Case(), "weight.in_features", 777), "activation.leading", (9,))
    assert fields.triggers(fields.replace(case, "seed", 5)) == {}
