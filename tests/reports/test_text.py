"""Text from outside stays text; the property tests are in `test_issue`."""

from __future__ import annotations

import pytest

from reports.text import block, cell, code, one_line


@pytest.mark.parametrize(("text", "line"), [("a\nb", "a b"), ("\x00a\x1b[31m", "a [31m"), ("  a  ", "a"), ("a\r\n\tb", "a b")])
def test_one_line(text: str, line: str) -> None:
    assert one_line(text) == line


@pytest.mark.parametrize(("text", "inline"), [("a", "`a`"), ("a`b", "`` a`b ``"), ("", "`(nothing)`")])
def test_code(text: str, inline: str) -> None:
    assert code(text) == inline


def test_a_block_has_a_longer_fence_than_its_text() -> None:
    assert block("```\nx", "python") == "````python\n```\nx\n````"


def test_a_cell_keeps_its_bars() -> None:
    assert cell("a | b\nc") == "a \\| b c"
