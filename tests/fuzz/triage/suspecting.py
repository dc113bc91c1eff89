"""Defects and rows as the tests of what is known need them: in one line each."""

from __future__ import annotations

from typing import Any, Final

from packaging.specifiers import SpecifierSet

from fuzz.engine.verdict import FailureKey, PathVerdict, Ruling, Symptom
from fuzz.triage.bug import Bug, Failure
from fuzz.triage.condition import parse_triggers
from fuzz.triage.known import KnownIssue
from fuzz.triage.verify import OTHER_PATHS, QUANTIZE, QUANTIZE_SURFACE
from reports.finding import signature
from strategies.case import Case

MATMUL: Final = "matmul_4bit"
LINEAR: Final = "linear4bit"
GEMV: Final = "gemv_4bit"


def key(path: str = MATMUL, symptom: Symptom = Symptom.WRONG_VALUE, how: str = "") -> FailureKey:
    """A kind of failure."""
    return FailureKey(QUANTIZE_SURFACE if path == QUANTIZE else OTHER_PATHS[path], path, symptom, how)


def failure(of: FailureKey, case: Case | None = None, ratio: float | None = None, first: Case | None = None) -> Failure:
    """A failure as it was seen."""
    verdict = PathVerdict(
        path=of.path, surface=of.surface, ruling=Ruling.VALID, source="a test", symptom=of.symptom, how=of.how, error_over_bound=ratio
    )
    return Failure(of, case or Case(), verdict, number=1, elapsed=0.5, first=first)


def bug(triggers: dict[str, Any], of: FailureKey | None = None, *paths: str, minimal: Case | None = None) -> Bug:
    """A defect of this run."""
    found = of or key()
    return Bug(found, minimal or Case(), triggers, [parse_triggers(triggers)], {found.path, *paths})


def exact(triggers: dict[str, Any], of: FailureKey | None = None) -> KnownIssue:
    """A row with a signature."""
    found = of or key()
    name = signature(found.surface, found.path, found.symptom.value, found.how, triggers)
    return KnownIssue(
        title=name,
        signature=name,
        surfaces=frozenset([found.surface]),
        paths=frozenset([found.path]),
        symptoms=frozenset([found.symptom]),
        how=found.how,
        triggers=triggers,
        condition=parse_triggers(triggers),
        link="unreported",
        versions=SpecifierSet(),
        reason="a test",
    )


def pattern(triggers: dict[str, Any], *keys: FailureKey, **how: Any) -> KnownIssue:
    """A row that is about all of the surfaces and symptoms of some kinds of failure."""
    return KnownIssue(
        title="a pattern",
        surfaces=frozenset(of.surface for of in keys),
        symptoms=frozenset(of.symptom for of in keys),
        triggers=triggers,
        condition=parse_triggers(triggers),
        link="unreported",
        versions=SpecifierSet(),
        reason="a test",
        **how,
    )
