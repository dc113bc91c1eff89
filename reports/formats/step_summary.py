"""The summary of a run in Markdown, for the page of a job of GitHub Actions."""

from __future__ import annotations

from typing import Final

from reports.outcomes import Outcome, Outcomes, State
from reports.text import cell, prose

MOST: Final = 50
"""Rows of one table. A page takes a megabyte, and a reader less."""

_TABLES: Final = {
    State.NEW: "New findings",
    State.FIXED: "Known defects that look fixed",
    State.KNOWN: "Known defects seen",
    State.FLAKY: "Flaky",
    State.UNCONFIRMED: "Not confirmed",
}


def step_summary(outcomes: Outcomes) -> str:
    """The Markdown text."""
    tables = [_table(words, outcomes.of(state)) for state, words in _TABLES.items() if outcomes.of(state)]
    warnings = [f"- {prose(warning)}" for warning in outcomes.record.warnings]
    parts = ["## bnb4-fuzz", _first(outcomes), *tables, *(["### Warnings", "\n".join(warnings)] if warnings else [])]
    return "\n\n".join(parts) + "\n"


def _first(outcomes: Outcomes) -> str:
    """What was run, and what it came to, in two sentences."""
    record, system = outcomes.record, outcomes.record.system
    hardware = system.get("gpu") or system.get("cpu") or system.get("device") or "an unknown machine"
    counts = ", ".join(f"{len(outcomes.of(state))} {state.value}" for state in State)
    return (
        f"{record.cases} cases in {record.seconds:.0f} s on bitsandbytes {prose(system.get('bitsandbytes', '?'))}, {prose(hardware)}; "
        f"stopped: {prose(record.stop_reason)}; seed {record.seed}.\n\n**{counts}**"
    )


def _table(words: str, entries: list[Outcome]) -> str:
    more = len(entries) - MOST
    rows = [*map(_row, entries[:MOST]), *([f"| {more} more | |"] if more > 0 else [])]
    return "\n".join([f"### {words}", "", "| what | details |", "| --- | --- |", *rows])


def _row(entry: Outcome) -> str:
    lines = [cell(line) for line in entry.details.splitlines() if line.strip()]
    link = [cell(entry.link)] if entry.link else []
    return f"| {cell(entry.title)} | {'<br>'.join([*lines, *link])} |"
