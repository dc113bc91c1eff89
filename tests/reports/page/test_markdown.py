"""Sections of an issue as HTML."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from reports.page.markdown import to_html
from reports.text import cell, code, one_line, prose
from tests.reports.helpers import NASTY, hostile
from tests.reports.page.html import Parsed

MADE = {"p", "code", "strong", "em", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "div"}


def test_what_sections_use_is_marked_up() -> None:
    assert to_html("**No** `x` a\\_b") == "<p><strong>No</strong> <code>x</code> a_b</p>\n"
    assert Parsed(to_html("- a\n- b")).all("li")


def test_headers_of_a_table_have_a_scope() -> None:
    parsed = Parsed(to_html("| a | b |\n| --- | --- |\n| c | d |\n| e | f |"))
    assert [element.attributes["scope"] for element in parsed.all("th")] == ["col", "col", "row", "row"]
    assert len(parsed.all("td")) == 2
    assert not parsed.unclosed
    assert not parsed.stray


def test_a_table_can_be_scrolled_by_keyboard() -> None:
    parsed = Parsed(to_html("| a |\n| --- |\n| b |"))
    assert parsed.elements[0].attributes == {"class": "scroll", "tabindex": "0"}


def test_links_pictures_and_html_are_text() -> None:
    text = "[a](javascript:b) ![c](http://d/e.png) <img src=x onerror=y> <http://f> &amp; # g"
    parsed = Parsed(to_html(text))
    assert {element.tag for element in parsed.elements} == {"p"}
    assert parsed.text.strip() == text


@given(hostile | st.text(max_size=60))
@example(NASTY)
def test_text_from_outside_stays_text(text: str) -> None:
    table = f"| a | b |\n| --- | --- |\n| {cell(text)} | {code(text)} |"
    for section in (prose(text), code(text), f"a {prose(text)} b", table):
        parsed = Parsed(to_html(section))
        assert {element.tag for element in parsed.elements} <= MADE
        assert not parsed.unclosed
        assert not parsed.stray
    assert one_line(text).replace(" ", "") in Parsed(to_html(f"x{prose(text)}y")).text.replace(" ", "")
