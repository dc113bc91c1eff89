"""`events.ndjson`: what happened in a run and when, a line each, for programs that follow it or draw it.

Every line has `event` and `seconds` since the start, when it was written: findings and known defects are looked for whenever
`run.json` is written, every few seconds. There are five events, with these fields:

started     format_version, system, seed, budget
observed    surface, path, symptom, how, number: a failure that nothing explains so far, after so many Cases
finding     signature, slug: verified
known seen  title, link: of a row of the known-issues file
finished    stop_reason, cases, findings, unconfirmed: the last line; a run that was killed has none
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from reports.files import append_json_line, write_text
from reports.finding import Finding
from reports.run import ReportsError, RunRecord
from reports.text import short

FILE: Final = "events.ndjson"
FORMAT_VERSION: Final = 1
MOST: Final = 10_000
"""Events of one run. With texts of 500 characters that is 20 MB at most; a run of a night has some hundred."""

_LAST: Final = "finished"


class Events:
    """Writes the events of one run, and each line at once, so that a killed run leaves them.

    Args:
        root: the reports directory. What an earlier run left in the file goes: times since different starts would mix.
        elapsed: the clock, in seconds since the start.
    """

    def __init__(self, root: Path, elapsed: Callable[[], float]) -> None:
        self._file, self._elapsed = root / FILE, elapsed
        self._written = 0
        self._told: set[tuple[str, str]] = set()

    def started(self, system: Mapping[str, str], seed: int, budget: float) -> None:
        """The first event."""
        write_text(self._file, "")
        about = {name: short(value) for name, value in system.items()}
        self._write("started", format_version=FORMAT_VERSION, system=about, seed=seed, budget=budget)

    def observed(self, verdict: Mapping[str, Any], number: int) -> None:
        """A failure that nothing explains; `verdict` as `observations.jsonl` has it."""
        names = {name: short(str(verdict[name])) for name in ("surface", "path", "symptom", "how")}
        self._write("observed", **names, number=number)

    def noted(self, record: RunRecord, findings: Iterable[Finding]) -> None:
        """What is new in the state of the run: each finding and each row of the known-issues file is told once."""
        for finding in findings:
            if finding.verified and finding.minimal:
                self._once("finding", finding.signature, signature=short(finding.signature), slug=finding.slug)
        for row in record.known:
            if row["state"] == "seen":
                self._once("known seen", row["title"], title=short(row["title"]), link=short(str(row.get("link", ""))))

    def finished(self, record: RunRecord) -> None:
        """The last event; written once."""
        counts = {"cases": record.cases, "findings": len(record.findings), "unconfirmed": len(record.unconfirmed)}
        self._once(_LAST, "", stop_reason=record.stop_reason, **counts)

    def _once(self, event: str, name: str, **fields: Any) -> None:
        if (event, name) not in self._told:
            self._told.add((event, name))
            self._write(event, **fields)

    def _write(self, event: str, **fields: Any) -> None:
        if self._written < MOST or event == _LAST:
            self._written += 1
            append_json_line(self._file, {"event": event, "seconds": round(self._elapsed(), 3), **fields})


def read_events(root: Path) -> Iterator[str]:
    """The lines of a run's events that are whole: a killed writer may leave half of one.

    Raises:
        ReportsError: there are none, or they cannot be read.
    """
    try:
        text = (root / FILE).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ReportsError(f"{root / FILE} cannot be read: {error.strerror}") from None
    for line in text.split("\n"):  # not `splitlines`: JSON may contain other line ends than this one
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "event" in event:
            yield line
