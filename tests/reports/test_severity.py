"""How bad a finding is."""

from __future__ import annotations

import dataclasses

import pytest

from fuzz.engine.verdict import Grade, Symptom
from reports.severity import SENTENCES, Severity, severity, worst_first
from tests.reports.helpers import RICH_EXTENT, finding


@pytest.mark.parametrize(
    ("symptom", "grade", "expected"),
    [
        (Symptom.WRONG_VALUE, Grade.DEFINITE, Severity.SILENT),
        (Symptom.WRONG_VALUE, Grade.DRIFT, Severity.SLIGHT),
        (Symptom.WRONG_VALUE, Grade.BITS, Severity.SLIGHT),
        (Symptom.WRONG_SHAPE, None, Severity.SILENT),
        (Symptom.MISSING_ERROR, None, Severity.SILENT),
        (Symptom.PROCESS_DIED, None, Severity.FATAL),
        (Symptom.HANG, None, Severity.FATAL),
        (Symptom.CONTEXT_LOST, None, Severity.FATAL),
        (Symptom.UNEXPECTED_EXCEPTION, None, Severity.REFUSED),
    ],
)
def test_by_symptom_and_grade(symptom: Symptom, grade: Grade | None, expected: Severity) -> None:
    assert severity(finding(symptom=symptom.value, grade=grade.value if grade else "")) is expected


def test_each_is_explained() -> None:
    assert set(SENTENCES) == set(Severity)


def test_the_worst_first_then_what_linear4bit_reaches_then_what_happens_often() -> None:
    died, reached = finding(symptom="process died", observed=100), finding(extent=RICH_EXTENT, observed=1)
    rare, often = finding(observed=2), finding(observed=3)
    unreached = finding(extent=dataclasses.replace(RICH_EXTENT, linear4bit="no: it copies"), observed=1)
    assert sorted([died, unreached, rare, often, reached], key=worst_first) == [reached, often, rare, unreached, died]
