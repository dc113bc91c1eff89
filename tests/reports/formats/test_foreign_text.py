"""A text from outside is text in every format, also a very long one with control characters."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

from hypothesis import example, given
from hypothesis import strategies as st

from reports.formats.junit import junit
from reports.formats.sarif import sarif
from reports.text import excerpt, short
from tests.reports.formats.helpers import hostile_outcomes
from tests.reports.helpers import NASTY, hostile

any_text = st.one_of(hostile, st.text(max_size=60), st.text(min_size=1, max_size=5).map(lambda text: text * 2000))


@given(any_text)
@example(NASTY)
@example("]]></failure><x a=\"'&\ud800\ufffe\x00\x1b\r\n")
def test_junit_gives_it_back(text: str) -> None:
    found = hostile_outcomes(text)
    (suite,) = ET.fromstring(junit(found).encode())  # noqa: S314 - our own
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == [short(entry.name) for entry in found.entries]
    (failure,) = suite.iter("failure")
    assert failure.get("message") == short(found.entries[0].title)
    assert failure.text == excerpt(found.entries[0].details)


@given(any_text)
@example(NASTY)
@example("\ud800[a](b)\x00")
def test_sarif_gives_it_back(text: str) -> None:
    found = hostile_outcomes(text)
    (run,) = json.loads(sarif(found).encode())["runs"]
    for entry, result in zip(found.entries, run["results"], strict=True):
        assert result["message"]["text"] == excerpt(f"{entry.title}\n{entry.details}").replace("](", "] (")
        assert result["properties"]["signature"] == short(entry.name)
