"""Verdicts as data: JSON both ways, and keys without measured values."""

from __future__ import annotations

import dataclasses
import json

import pytest

from fuzz.engine.verdict import CaseResult, FailureKey, Grade, Outcome, PathVerdict, Ruling, Symptom
from fuzz.oracle.model import ErrorModel
from reports.errors import ErrorGrid

OK = PathVerdict(path="matmul_4bit", surface="functional.matmul_4bit", ruling=Ruling.VALID, source="a document")
WRONG = dataclasses.replace(
    OK,
    symptom=Symptom.WRONG_VALUE,
    expected="1 within 2",
    got="4",
    grade=Grade.DEFINITE,
    error_over_bound=3.5,
    arms=("simt", "linear"),
    model=ErrorModel(product=0.25, constant=1e-40),
    errors=ErrorGrid(shape=(1, 2), tile=(1, 1), ratios=((3.5, None),), wrong=("xx",)),
)


@pytest.mark.parametrize("ruling", Ruling)
@pytest.mark.parametrize("symptom", [None, *Symptom])
@pytest.mark.parametrize("grade", [None, *Grade])
def test_json_round_trip(ruling: Ruling, symptom: Symptom | None, grade: Grade | None) -> None:
    for verdict in (OK, WRONG):
        changed = dataclasses.replace(verdict, ruling=ruling, symptom=symptom, grade=grade)
        assert PathVerdict.from_json(json.loads(json.dumps(changed.to_json(), allow_nan=False))) == changed


def test_keys_ignore_what_was_measured() -> None:
    other = dataclasses.replace(WRONG, got="5", expected="2 within 3", error_over_bound=9.0, arms=(), model=None, grade=None)
    other = dataclasses.replace(other, ruling=Ruling.UNSPECIFIED, source="another document")
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


def test_a_path_that_was_not_run_is_blocked_if_another_failed_before() -> None:
    key, earlier = FailureKey.of(WRONG), dataclasses.replace(OK, path="dequantize_4bit")
    assert CaseResult((WRONG,)).outcome(key) is Outcome.FAILS
    assert CaseResult((OK,)).outcome(key) is Outcome.PASSES
    assert CaseResult((earlier,)).outcome(key) is Outcome.NOT_RUN
    assert CaseResult((dataclasses.replace(earlier, symptom=Symptom.WRONG_VALUE),)).outcome(key) is Outcome.BLOCKED
