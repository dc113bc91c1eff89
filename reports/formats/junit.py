"""JUnit XML: one test case for each defect. What is new is a failure; what is known or not confirmed is skipped, with the reason."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Final

from reports.outcomes import Outcome, Outcomes, State
from reports.text import excerpt, short

SUITE: Final = "bnb4-fuzz"


def junit(outcomes: Outcomes) -> str:
    """The file's text. Characters that XML cannot hold have become U+FFFD in `excerpt`, or spaces in `short`."""
    record = outcomes.record
    suite = ET.Element(
        "testsuite",
        name=SUITE,
        tests=str(len(outcomes.entries)),
        failures=str(len(outcomes.of(State.NEW))),
        errors="0",
        skipped=str(len(outcomes.entries) - len(outcomes.of(State.NEW))),
        time=f"{record.seconds:.3f}",
    )
    properties = ET.SubElement(suite, "properties")
    about = {**record.system, "seed": str(record.seed), "cases": str(record.cases), "stop_reason": record.stop_reason}
    for name, value in about.items():
        ET.SubElement(properties, "property", name=short(name), value=short(value))
    for entry in outcomes.entries:
        suite.append(_case(entry))
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    text: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return text.decode() + "\n"


def _case(entry: Outcome) -> ET.Element:
    case = ET.Element("testcase", classname=short(entry.surface) or SUITE, name=short(entry.name), time="0")
    if entry.state is State.NEW:
        failure = ET.SubElement(case, "failure", type=short(entry.symptom), message=short(entry.title))
        failure.text = excerpt(entry.details)
    else:
        reason = f"{entry.state.value}: {entry.details}{f' ({entry.link})' if entry.link else ''}"
        ET.SubElement(case, "skipped", type=entry.state.value, message=short(reason))
    return case
