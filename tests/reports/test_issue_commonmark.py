"""A parser that is not ours reads the issue: text from outside comes back as text, whatever it contains."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reports.finding import ScriptRun
from reports.issue import body, title, write_issue
from reports.text import excerpt, short
from tests.reports.commonmark import read
from tests.reports.helpers import NASTY, finding, hostile
from tests.reports.test_issue import OUTSIDE, PLAIN, with_texts

PIECES = (
    *("`", "```", "~~~", "# ", "- ", "1. ", "> ", "| a |", "**b**", "_c_", "~~d~~", "[e](f)", "![g](h)", "\\", " ", "a", "e" * 600),
    *("<b>", "<!--", "-->", "</details>", "<script>", "&lt;", "@user", "#123", "o/r#4", "GH-5", ":bug:", "$x$", "https://example.org"),
    *("\n", "\n\n", "\t", "\x00", "\x1b[31m", "\u202e"),
)
pieces = st.sampled_from(PIECES)
foreign = st.one_of(hostile, st.lists(pieces, max_size=8).map("".join))
LONG = "very_long_name" * 1000


@given(st.lists(foreign, min_size=OUTSIDE, max_size=OUTSIDE))
@example([NASTY] * OUTSIDE)
@example([LONG] * OUTSIDE)
@example(["\n</details>\n\n- @user #1 <img src=x> $a$ GH-2 --> ```"] * OUTSIDE)
def test_text_from_outside_comes_back_as_text(texts: list[str]) -> None:
    found = with_texts([text.replace("\n", " ") for text in texts[:-1]] + texts[-1:])  # of `got` only the first line is shown
    document, plain = read(write_issue(found, "script\n")), read(write_issue(with_texts(PLAIN), "script\n"))
    assert document.structure == plain.structure
    assert document.html[:-2] == plain.html[:-2]  # the last two are digests
    assert found.extent is not None
    assert found.script is not None
    (field,) = found.extent.fields
    assert document.lines[0] == short(title(found))
    for text in (field.rule, *found.others, *found.others.values(), *map(str, field.passes)):
        assert short(text) in document.lines
    for line in (
        f"CPU: {short(found.system['cpu'])}",
        f"Expected: {short(found.expected)}.",
        f"Fails alike on {short(found.extent.paths[1])}.",
    ):
        assert line in document.lines
    assert document.fences == ("script\n", excerpt(found.script.output) + "\n")


@given(foreign, foreign)
@example("-->", "--> <b>")
def test_the_marks_hold_nothing_from_outside(surface: str, release: str) -> None:
    """A comment of HTML ends at the first `-->`, and there is no way to escape one."""
    found = finding(surface=surface, system={"bitsandbytes": release})
    marks = [mark.rstrip() for mark in read(body(found, "")).html[-2:]]
    assert all(mark.startswith("<!-- bnb4-fuzz ") and mark.endswith(" -->") and mark.count("--") == 2 for mark in marks)


def test_an_issue_stays_short_whatever_the_library_prints() -> None:
    found = with_texts([LONG + "\n" + "line\n" * 5000] * OUTSIDE)
    text = write_issue(found, "script\n")
    assert len(text) < 30_000
    assert "lines left out)" in text
    assert "characters left out)" in text


@pytest.mark.parametrize("lines", [1, 40, 41, 5000])
def test_the_end_of_a_long_output_is_kept(lines: int) -> None:
    """That is where a traceback says what happened."""
    output = "".join(f"line {number}\n" for number in range(lines))
    found = finding(script=ScriptRun(exit_status=1, output=output))
    shown = read(write_issue(found, "script\n")).fences[1].splitlines()
    assert shown[-1] == f"line {lines - 1}"
    assert shown[0] == "line 0"
    assert len(shown) == min(lines, 41)
    assert (f"... ({lines - 40} lines left out)" in shown) is (lines > 40)


def test_the_title_fits_and_the_body_does_not_repeat_it() -> None:
    found = dataclasses.replace(finding(), how=LONG)
    assert len(title(found)) <= 256
    assert "more characters)" in title(found)
    assert ("heading_open", "h1") in read(write_issue(found, "")).structure
    assert ("heading_open", "h1") not in read(body(found, "")).structure
