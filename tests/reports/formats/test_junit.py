"""JUnit XML as dashboards read it."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from reports.formats.junit import junit
from tests.reports.formats.helpers import FIXED, FLAKY, KNOWN, LATE, outcomes
from tests.reports.helpers import finding


def test_what_is_new_fails_and_everything_else_is_skipped_with_its_reason() -> None:
    (suite,) = ET.fromstring(junit(outcomes()))  # noqa: S314 - our own
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5",
        "failures": "1",
        "errors": "0",
        "skipped": "4",
    }
    cases = suite.findall("testcase")
    names = [KNOWN["title"], FIXED["title"], FLAKY["signature"], LATE["signature"]]
    assert [case.get("name") for case in cases] == [finding().signature, *names]
    assert [case.get("classname") for case in cases] == [
        "functional.matmul_4bit",
        "bnb4-fuzz",
        "functional.gemv_4bit",
        "functional.gemv_4bit",
        "nn.Linear4bit",
    ]
    (failure,) = suite.iter("failure")
    assert failure.get("type") == "wrong value"
    assert (failure.text or "").splitlines() == ["expected: 1 within 2", f"got: {finding().got}", f"findings/{finding().slug}/repro.py"]
    assert [skipped.get("message") for skipped in suite.iter("skipped")] == [
        "known: 3 cases: upstream knows (https://example.org/1)",
        "looks fixed: its Case ran and did not fail: upstream knows (https://example.org/1)",
        "flaky: now and then [2 of 13]",
        "unconfirmed: seen too late",
    ]


def test_the_run_is_described() -> None:
    (suite,) = ET.fromstring(junit(outcomes()))  # noqa: S314 - our own
    properties = {item.get("name"): item.get("value") for item in suite.iter("property")}
    assert properties["bitsandbytes"] == "0.50.2"
    assert (properties["seed"], properties["stop_reason"]) == ("5", "time")
    assert suite.get("time") == "59.500"
