"""Text from outside stays text."""

from __future__ import annotations

import re
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reports.text import LONGEST, block, cell, code, code_cell, excerpt, one_line, prose, short
from tests.reports.helpers import NASTY, hostile
from tests.reports.markdown import cells, code_spans, lines_of, parse, rendered

one_line_hostile: Final = hostile.filter(lambda text: bool(one_line(text)))


@pytest.mark.parametrize(("text", "line"), [("a\nb", "a b"), ("\x00a\x1b[31m", "a [31m"), ("  a  ", "a"), ("a\r\n\tb", "a b")])
def test_one_line(text: str, line: str) -> None:
    assert one_line(text) == line


@pytest.mark.parametrize("char", ["\x85", "\x9b", "\u2028", "\u202e", "\ud800", "\x7f"])
def test_what_cannot_be_printed_is_a_space(char: str) -> None:
    """A control sequence of one character, a line end of Python, a change of direction, half a character."""
    assert one_line(f"a{char}b") == "a b"


@given(hostile)
def test_one_line_is_one_line_for_markdown(text: str) -> None:
    line = one_line(text)
    assert len(lines_of(line)) == 1
    assert len(line.splitlines()) <= 1
    assert line.isprintable()
    assert line == line.strip()
    assert one_line(line) == line
    assert line.replace(" ", "") == "".join(char for char in text if char.isprintable() and char != " ")


@pytest.mark.parametrize(("text", "inline"), [("a", "`a`"), ("a`b", "`` a`b ``"), ("", "`(nothing)`")])
def test_code(text: str, inline: str) -> None:
    assert code(text) == inline


@given(one_line_hostile)
@example("`")
@example("``")
@example("a`b")
@example(NASTY)
def test_inline_code_holds_exactly_its_text(text: str) -> None:
    spans, rest = code_spans(f"before {code(text)} after")
    assert spans == [one_line(text)]
    assert rest == "before 0 after"


@pytest.mark.parametrize("text", ["", " ", "\n", "\x00"])
def test_nothing_as_inline_code_does_not_swallow_what_follows(text: str) -> None:
    """Two backticks open a code span that ends at the next two."""
    line = f"Expected {code(text)}, got {code(text)}."
    _, rest = code_spans(line)
    assert ", got " in rest


@pytest.mark.parametrize(
    "text", ["shape (2, 64)", "docstring of functional.quantize_4bit", "Intel(R) Xeon(R) CPU @ 2.20GHz", "x86_64", "größer"]
)
def test_plain_words_are_left_alone(text: str) -> None:
    assert prose(text) == text
    assert cell(text) == text


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("[out, in]", "\\[out, in\\]"),
        ("a*b*c", "a\\*b\\*c"),
        ("__init__", "\\_\\_init\\_\\_"),
        ("<b>", "\\<b\\>"),
        ("&amp;", "\\&amp;"),
        ("a\\", "a\\\\"),
        ("", "`(nothing)`"),
        ("ask @someone", "`ask @someone`"),
        ("see #12", "`see #12`"),
        ("a :bug:", "`a :bug:`"),
        ("see GH-12", "`see GH-12`"),
        ("$x$", "`$x$`"),
    ],
)
def test_prose(text: str, markdown: str) -> None:
    assert prose(text) == markdown


@given(one_line_hostile)
@example(NASTY)
@example("a\\`b`")
@example("_a_")
def test_prose_shows_exactly_its_text(text: str) -> None:
    assert rendered(f"x {prose(text)} y") == f"x {one_line(text)} y"


@given(one_line_hostile, st.sampled_from([cell, code_cell]))
@example("a | b", cell)
@example("a \\| b", cell)
@example("a \\| @b", cell)
@example("a \\\\|", code_cell)
@example("`|`", code_cell)
def test_a_cell_shows_exactly_its_text(text: str, write: object) -> None:
    assert callable(write)
    first, second = cells(f"| {write(text)} | other |")
    assert second == "other"
    assert rendered(first, in_table=True) == one_line(text)


def test_a_block_has_a_longer_fence_than_its_text() -> None:
    assert block("```\nx", "python") == "````python\n```\nx\n````"


@given(hostile)
@example(NASTY)
@example("```")
@example("````\n```")
def test_a_block_holds_exactly_its_text(text: str) -> None:
    outside, blocks = parse(f"before\n\n{block(text, 'python')}\n\nafter")
    assert outside == ["before", "", "", "after"]
    (held,) = blocks
    assert held.info == "python"
    assert list(held.lines) == lines_of(text.rstrip())


def test_no_control_character_gets_into_a_line() -> None:
    every = "".join(map(chr, range(0x20))) + "".join(map(chr, range(0x7F, 0xA0)))
    for write in (one_line, code, prose, cell, code_cell):
        assert not re.search(r"[\x00-\x1f\x7f-\x9f]", write(f"a{every}b"))


@given(st.text(max_size=50).map(lambda text: text * 40), st.integers(100, 600))
def test_a_long_text_is_cut_with_a_note(text: str, most: int) -> None:
    line, whole = short(text, most), one_line(text)
    assert len(line) <= most
    if len(whole) <= most:
        assert line == whole
    else:
        kept, _, note = line.rpartition(" ... (")
        assert whole.startswith(kept)
        assert note == f"{len(whole) - len(kept)} more characters)"
    assert short(line, most) == line


def test_no_text_is_longer_than_a_reader_takes() -> None:
    assert all(len(write("@" * 10_000)) <= LONGEST + 4 for write in (code, prose, cell, code_cell))


def test_an_output_keeps_its_lines_and_nothing_that_commands_a_terminal() -> None:
    assert excerpt("a\r\nb\rc\td\x1b[31m\u202e\n\n") == "a\nb\nc\td\ufffd[31m\ufffd"
