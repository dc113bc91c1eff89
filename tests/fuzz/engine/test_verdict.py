"""Verdicts as data: JSON both ways, keys without measured values, and the union of error models."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.engine.verdict import CaseResult, ErrorModel, FailureKey, PathVerdict, Ruling, Symptom

OK = PathVerdict(path="matmul_4bit", surface="functional.matmul_4bit", ruling=Ruling.VALID, source="a document")
WRONG = dataclasses.replace(
    OK,
    symptom=Symptom.WRONG_VALUE,
    expected="1 within 2",
    got="4",
    error_over_bound=3.5,
    arms=("simt", "dense"),
    model=ErrorModel(product=0.25, constant=1e-40),
)

coefficients = st.floats(min_value=0, max_value=1e30)
models = st.builds(ErrorModel, **{item.name: coefficients for item in dataclasses.fields(ErrorModel)})


@pytest.mark.parametrize("ruling", Ruling)
@pytest.mark.parametrize("symptom", [None, *Symptom])
def test_json_round_trip(ruling: Ruling, symptom: Symptom | None) -> None:
    for verdict in (OK, WRONG):
        changed = dataclasses.replace(verdict, ruling=ruling, symptom=symptom)
        assert PathVerdict.from_json(json.loads(json.dumps(changed.to_json(), allow_nan=False))) == changed


def test_the_union_of_models_is_the_larger_of_each_coefficient() -> None:
    first = ErrorModel(product=1, code=2, activation=3, constant=4, late_rounding=5, late_underflow=6)
    second = ErrorModel(product=6, code=5, activation=4, constant=3, late_rounding=2, late_underflow=1)
    assert first.union(second) == ErrorModel(product=6, code=5, activation=4, constant=4, late_rounding=5, late_underflow=6)


@given(models, models)
def test_the_union_is_no_tighter_than_either_and_no_wider_than_needed(first: ErrorModel, second: ErrorModel) -> None:
    union = dataclasses.asdict(first.union(second))
    for name, value in union.items():
        assert value in {getattr(first, name), getattr(second, name)}
        assert value >= getattr(first, name)
        assert value >= getattr(second, name)
    assert first.union(second) == second.union(first)
    assert first.union(first) == first


def test_keys_ignore_what_was_measured() -> None:
    other = dataclasses.replace(WRONG, got="5", expected="2 within 3", error_over_bound=9.0, arms=(), model=None, ruling=Ruling.UNSPECIFIED)
    assert FailureKey.of(WRONG) == FailureKey.of(other)
    assert FailureKey.of(WRONG) != FailureKey.of(dataclasses.replace(WRONG, how="another way"))
    assert FailureKey.of(WRONG) != FailureKey.of(dataclasses.replace(WRONG, symptom=Symptom.HANG))


def test_a_verdict_without_symptom_has_no_key() -> None:
    with pytest.raises(ValueError, match="matmul_4bit did not fail"):
        FailureKey.of(OK)


def test_a_result_finds_its_failures() -> None:
    result = CaseResult((OK, WRONG))
    assert result.failures == (WRONG,)
    assert result.failure(FailureKey.of(WRONG)) is WRONG
    assert result.failure(dataclasses.replace(FailureKey.of(WRONG), path="gemv_4bit")) is None
    assert CaseResult(()).failures == ()
