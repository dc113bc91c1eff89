"""The summary in Markdown, read by a parser of CommonMark."""

from __future__ import annotations

from hypothesis import example, given
from markdown_it import MarkdownIt

from reports.formats.step_summary import MOST, step_summary
from reports.text import short
from tests.reports.formats.helpers import LATE, hostile_outcomes, outcomes
from tests.reports.helpers import NASTY, hostile


def test_what_a_reader_sees_first() -> None:
    lines = step_summary(outcomes()).splitlines()
    assert lines[0] == "## bnb4-fuzz"
    assert lines[2] == "10 cases in 60 s on bitsandbytes 0.50.2, a processor; stopped: time; seed 5."
    assert lines[4] == "**1 new, 1 known, 1 looks fixed, 1 flaky, 1 unconfirmed**"
    assert [line for line in lines if line.startswith("### ")] == [
        "### New findings",
        "### Known defects that look fixed",
        "### Known defects seen",
        "### Flaky",
        "### Not confirmed",
    ]


def test_tables_without_rows_are_left_out() -> None:
    text = step_summary(outcomes(known=[], unconfirmed=[], warnings=["a * b"]))
    assert [line for line in text.splitlines() if line.startswith("### ")] == ["### New findings", "### Warnings"]
    assert "- a \\* b" in text.splitlines()


def test_a_long_table_is_cut_with_a_note() -> None:
    late = [{**LATE, "signature": f"a | b | c{number} | triggers: none"} for number in range(MOST + 3)]
    lines = step_summary(outcomes(known=[], unconfirmed=late)).splitlines()
    assert lines[-1] == "| 3 more | |"
    assert sum(line.startswith("| a ") for line in lines) == MOST


@given(hostile)
@example(NASTY)
@example("</td></table><script>|` `` \n@user")
@example("name" * 5000)
def test_text_from_outside_stays_in_its_cell(text: str) -> None:
    found = hostile_outcomes(text)
    shown = tables(step_summary(found))
    assert [len(row) for row in shown] == [2] * len(shown)
    titles = [row[0] for row in shown]
    assert sorted(titles) == sorted(short(entry.title) for entry in found.entries)


def tables(text: str) -> list[list[str]]:
    """The cells of every row; a break within a cell is markup of the summary itself."""
    rows: list[list[str]] = []
    in_table = False
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "tbody_open":
            in_table = True
        elif token.type == "tr_open" and in_table:
            rows.append([])
        elif token.type == "table_close":
            in_table = False
        elif token.type == "inline" and in_table:
            kinds = {child.type for child in token.children or ()}
            assert kinds <= {"text", "code_inline", "html_inline"}, kinds
            assert {child.content for child in token.children or () if child.type == "html_inline"} <= {"<br>"}
            rows[-1].append("".join(child.content for child in token.children or () if child.type != "html_inline"))
    return rows
