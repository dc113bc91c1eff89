"""Relations as a part of a Case: drawn, written, read, reduced. What they mean is tested in `tests/fuzz/engine`."""

from __future__ import annotations

import collections
import dataclasses
import json

import pytest
import torch
from hypothesis import find, given, settings

from strategies import fields
from strategies.case import Case, CaseError, Execution, Fill, Layout, Layouts, Relation
from strategies.cases import cases, related_cases
from strategies.fills import FILLS
from tests.strategies.helpers import BUSY, draw

DRAWS = 1000
DRAWN = [relation for relation in Relation if relation is not Relation.NONE]
ENOUGH = settings(max_examples=200, derandomize=True, database=None)


@pytest.fixture(scope="module")
def drawn() -> list[Case]:
    return draw(related_cases(), DRAWS)


def test_every_relation_but_none_is_drawn_often(drawn: list[Case]) -> None:
    counts = collections.Counter(case.execution.relation for case in drawn)
    assert set(counts) == set(DRAWN)
    assert min(counts.values()) >= DRAWS // 50, counts


def test_every_related_case_has_the_layout_that_all_paths_take_and_no_gradients(drawn: list[Case]) -> None:
    assert {case.weight.layout for case in drawn} == {Layout.OUT_IN}
    assert {case.execution.grad for case in drawn} == {False}
    assert {case.memory for case in drawn} == {Layouts()}


FIXED = {
    "weight.layout",
    "execution.grad",
    "execution.default_dtype",
    "execution.stream",
    *fields.QUESTIONS,
    *(name for name in fields.CHOICES if name.startswith("memory.")),
}


@pytest.mark.parametrize("name", [name for name in fields.CHOICES if name not in FIXED])
def test_everything_else_is_drawn_as_in_cases_without_a_relation(drawn: list[Case], name: str) -> None:
    counts = collections.Counter(fields.get(case, name) for case in drawn)
    assert set(counts) == set(fields.CHOICES[name])
    assert min(counts.values()) >= DRAWS // 50, counts


def test_cases_of_the_other_property_have_no_relation() -> None:
    assert {case.execution.relation for case in draw(cases(), 50)} == {Relation.NONE}


def test_a_related_draw_shrinks_to_the_neutral_case_with_the_first_relation() -> None:
    minimal = find(related_cases(), lambda _: True, settings=ENOUGH)
    assert fields.triggers(minimal) == {"execution.relation": "rerun"}
    assert dataclasses.replace(minimal, weight=Case().weight) == Case(execution=Execution(relation=Relation.RERUN))


@given(related_cases())
def test_json_round_trip(case: Case) -> None:
    assert Case.from_json(json.loads(json.dumps(case.to_json()))) == case


@pytest.mark.parametrize("relation", Relation)
def test_json_has_the_relation_by_its_value(relation: Relation) -> None:
    case = dataclasses.replace(BUSY, execution=Execution(grad=True, relation=relation))
    assert case.to_json()["execution"]["relation"] == relation.value
    assert Case.from_json(case.to_json()) == case


def test_a_case_that_was_written_before_there_were_relations_has_none() -> None:
    old = Case(execution=Execution(grad=True)).to_json()
    del old["execution"]["relation"]
    assert Case.from_json(old) == Case(execution=Execution(grad=True, relation=Relation.NONE))


@pytest.mark.parametrize("value", ["transposed", "", None, 0, True, ["sign"], "SIGN"])
def test_another_relation_is_refused_by_name(value: object) -> None:
    data = Case().to_json()
    data["execution"]["relation"] = value
    with pytest.raises(CaseError) as caught:
        Case.from_json(data)
    message = str(caught.value)
    assert message.startswith(f"execution.relation is {value!r}, not one of none, rerun, sign, ")
    assert message.endswith("second_gpu")


def test_no_relation_is_neutral_and_first() -> None:
    assert next(iter(Relation)) is Relation.NONE
    assert Case().execution.relation is Relation.NONE
    assert fields.neutral("execution.relation") is Relation.NONE
    assert fields.CHOICES["execution.relation"] == tuple(Relation)


def test_relation_values_are_distinct_plain_words() -> None:
    values = [relation.value for relation in Relation]
    assert len(set(values)) == len(values)
    assert all(value.isidentifier() and value.islower() for value in values)


@pytest.mark.parametrize("relation", DRAWN)
def test_a_relation_is_a_trigger_and_can_be_replaced(relation: Relation) -> None:
    case = fields.replace(Case(), "execution.relation", relation)
    assert fields.triggers(case) == {"execution.relation": relation.value}
    assert fields.replace(case, "execution.relation", Relation.NONE) == Case()
    assert fields.parse_value("execution.relation", relation.value) is relation


@given(related_cases())
def test_a_relation_that_is_taken_away_leaves_everything_else(case: Case) -> None:
    plain = fields.replace(case, "execution.relation", Relation.NONE)
    assert dataclasses.replace(plain, execution=case.execution) == case
    assert fields.triggers(plain) == {name: value for name, value in fields.triggers(case).items() if name != "execution.relation"}


@pytest.mark.parametrize("fill", [Fill.HUGE, Fill.TINY])
@pytest.mark.parametrize("shape", [(1,), (3, 7), (2, 5, 33)])
@pytest.mark.parametrize("seed", [0, 7, 2**33])
def test_float16_and_float32_hold_huge_and_tiny_values_and_bfloat16_too(fill: Fill, shape: tuple[int, ...], seed: int) -> None:
    values = FILLS[fill](shape, seed)
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        assert torch.equal(values.to(dtype).double(), values)
        assert bool((values.to(dtype) != 0).all())
