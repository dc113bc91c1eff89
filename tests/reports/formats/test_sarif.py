"""SARIF, by the official schema and by what code-scanning pages need beyond it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from jsonschema import Draft7Validator

from reports.formats.sarif import sarif
from reports.marker import digest
from tests.reports.formats.helpers import hostile_outcomes, outcomes
from tests.reports.helpers import NASTY, finding, hostile


def run_of(text: str) -> dict[str, Any]:
    (run,) = json.loads(text)["runs"]
    return dict(run)


def test_it_is_valid(sarif_schema: Draft7Validator) -> None:
    assert list(sarif_schema.iter_errors(json.loads(sarif(outcomes())))) == []


@pytest.mark.parametrize("change", [{"level": "fatal"}, {"kind": "maybe"}, {"message": {}}, {"colour": "red"}])
def test_the_schema_would_say_so_if_it_were_not(sarif_schema: Draft7Validator, change: dict[str, Any]) -> None:
    data = copy.deepcopy(json.loads(sarif(outcomes())))
    data["runs"][0]["results"][0] |= change
    assert list(sarif_schema.iter_errors(data))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(hostile)
@example(NASTY)
def test_it_is_valid_whatever_a_finding_says(sarif_schema: Draft7Validator, text: str) -> None:
    data = json.loads(sarif(hostile_outcomes(text)))
    assert list(sarif_schema.iter_errors(data)) == []
    texts = [result["message"]["text"] for result in data["runs"][0]["results"]]
    assert all("](" not in text for text in texts), "it would be a link"


def test_results_say_what_they_are() -> None:
    results = run_of(sarif(outcomes()))["results"]
    assert [(result["kind"], result["level"], result["properties"]["state"]) for result in results] == [
        ("fail", "error", "new"),
        ("fail", "error", "known"),
        ("review", "none", "looks fixed"),
        ("review", "none", "flaky"),
        ("review", "none", "unconfirmed"),
    ]
    assert [result.get("suppressions") for result in results[:2]] == [
        None,
        [{"kind": "external", "justification": "https://example.org/1"}],
    ]


def test_a_result_is_recognised_in_the_next_run_and_points_to_its_script() -> None:
    run = run_of(sarif(outcomes()))
    first = run["results"][0]
    assert first["partialFingerprints"] == {"bnb4FuzzSignature/v1": digest(finding())}
    place = first["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": f"findings/{finding().slug}/repro.py", "uriBaseId": "REPORTS"}
    assert all(run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])


@pytest.mark.parametrize(("reason", "successful"), [("time", True), ("cases", True), ("interrupted", False), ("running", False)])
def test_a_run_that_was_cut_short_is_not_called_successful(reason: str, successful: bool) -> None:  # noqa: FBT001
    (invocation,) = run_of(sarif(outcomes(stop_reason=reason)))["invocations"]
    assert invocation["executionSuccessful"] is successful
