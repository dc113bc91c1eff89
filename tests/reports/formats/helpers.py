"""Outcomes made by hand: one of each state."""

from __future__ import annotations

import dataclasses
from typing import Any

from reports.finding import Finding
from reports.outcomes import Outcomes
from reports.run import RunRecord
from tests.reports.helpers import finding
from tests.reports.stored_runs import record

KNOWN = {"title": "a title of a row", "link": "https://example.org/1", "reason": "upstream knows", "cases": 3, "state": "seen"}
FIXED = {**KNOWN, "title": finding("gemv_4bit", model=None).signature, "state": "looks fixed", "cases": 0}
UNMET = {**KNOWN, "title": "not met", "state": "not met", "cases": 0}
FLAKY = {"signature": "functional.gemv_4bit | gemv_4bit | hang | triggers: none", "slug": "", "reason": "now and then", "rate": "2 of 13"}
LATE = {"signature": "nn.Linear4bit | linear4bit | wrong value (x) | triggers: bias=True", "slug": "", "reason": "seen too late"}


def run_of_each(*findings: Finding) -> RunRecord:
    """The record of a run that saw one of each state beside these findings."""
    entries = [{"signature": item.signature, "slug": item.slug, "cases": item.observed} for item in findings]
    return record(findings=entries, known=[KNOWN, FIXED, UNMET], unconfirmed=[FLAKY, LATE])


def outcomes(*findings: Finding, **changes: Any) -> Outcomes:
    """One of each state; of what is new, these or one."""
    items = findings or (finding(),)
    return Outcomes.of_run(dataclasses.replace(run_of_each(*items), **changes), items)


def hostile_outcomes(text: str) -> Outcomes:
    """Outcomes that say `text` wherever something from outside can be."""
    found = finding(surface="x" + text, how=text, expected=text, got=text, system={"cpu": text})
    rows = [{**KNOWN, "title": "x" + text, "link": text, "reason": text}]
    entries = [{"signature": f"x{text} | a | {text} | triggers: none", "slug": text, "reason": text, "rate": text}]
    system = {"bitsandbytes": text, "cpu": text}
    return outcomes(found, known=rows, unconfirmed=entries, warnings=[text], system=system, stop_reason=text)
