"""Annotations, read back as a runner of GitHub Actions reads them."""

from __future__ import annotations

import re

from hypothesis import example, given

from reports.formats.workflow import MOST, workflow_commands
from reports.issue import title
from reports.text import excerpt, short
from tests.reports.formats.helpers import LATE, hostile_outcomes, outcomes
from tests.reports.helpers import NASTY, finding, hostile

_COMMAND = re.compile(r"::(error|warning|notice) title=([^:,\r\n]*)::([^\r\n]*)")


def unescaped(text: str) -> str:
    """As the runner does it."""
    for escape, char in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(escape, char)
    return text


def read(line: str) -> tuple[str, str, str]:
    """Level, title and message of a line that is one command."""
    command = _COMMAND.fullmatch(line)
    assert command is not None, line
    return command[1], unescaped(command[2]), unescaped(command[3])


def test_a_line_for_each() -> None:
    lines = [read(line) for line in workflow_commands(outcomes())]
    assert [line[0] for line in lines] == ["error", "warning", "warning", "notice", "notice"]
    _, name, message = lines[0]
    assert name == title(finding())
    assert message.splitlines()[:2] == ["expected: 1 within 2", f"got: {finding().got}"]
    assert lines[3][1:] == ("known: a title of a row", "3 cases: upstream knows (https://example.org/1)")


def test_no_more_than_are_shown_and_the_last_one_says_so() -> None:
    late = [{**LATE, "signature": f"a | b | c{number} | triggers: none"} for number in range(25)]
    lines = [read(line) for line in workflow_commands(outcomes(unconfirmed=late))]
    warnings = [line for line in lines if line[0] == "warning"]
    assert len(warnings) == MOST
    assert warnings[-1][1:] == ("16 more", "run.json has them all")
    exactly = [read(line) for line in workflow_commands(outcomes(unconfirmed=late[:MOST]))]
    assert not any(line[1].endswith(" more") for line in exactly)


@given(hostile)
@example(NASTY)
@example("100%0Aof a,b:c::error::d\n::error::e")
def test_text_from_outside_is_one_line_and_comes_back(text: str) -> None:
    found = hostile_outcomes(text)
    lines = [read(line) for line in workflow_commands(found)]
    assert len(lines) == len(found.entries)
    assert lines[0] == ("error", short(found.entries[0].title), excerpt(found.entries[0].details))
