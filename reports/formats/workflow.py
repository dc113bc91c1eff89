"""Workflow commands of GitHub Actions: lines that a runner shows as annotations of the run.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reports.outcomes import Outcome, Outcomes, State
from reports.text import excerpt, short

MOST: Final = 10
"""Annotations of one level that GitHub shows for a step."""

_LEVELS: Final = {
    State.NEW: "error",
    State.FLAKY: "warning",
    State.UNCONFIRMED: "warning",
    State.KNOWN: "notice",
    State.FIXED: "notice",
}


def workflow_commands(outcomes: Outcomes) -> Iterator[str]:
    """The lines; where there are more of a level than are shown, the last one says so."""
    for level in ("error", "warning", "notice"):
        entries = [entry for entry in outcomes.entries if _LEVELS[entry.state] == level]
        kept = entries if len(entries) <= MOST else entries[: MOST - 1]
        for entry in kept:
            yield _line(level, _title(entry), f"{entry.details}{f' ({entry.link})' if entry.link else ''}")
        if more := len(entries) - len(kept):
            yield _line(level, f"{more} more", "run.json has them all")


def _title(entry: Outcome) -> str:
    return entry.title if entry.state is State.NEW else f"{entry.state.value}: {entry.title}"


def _line(level: str, title: str, message: str) -> str:
    escaped = _data(short(title)).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={escaped}::{_data(excerpt(message))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
