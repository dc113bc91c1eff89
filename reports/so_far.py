"""What the workers of a run have done so far, by what they have written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from reports.events import read_events
from reports.finding import read_json
from reports.gather import part
from reports.run import ReportsError, RunRecord
from reports.schema import RecordError


@dataclass(frozen=True, slots=True)
class SoFar:
    """Workers that have begun, their Cases, how many of those a second, and distinct findings."""

    workers: int
    cases: int
    rate: float
    findings: int


def so_far(root: Path, run: str) -> SoFar:
    """The state of a run, which workers write every few seconds.

    Args:
        root: the reports directory.
        run: the name of the run, as for `reports.gather.part`.
    """
    places = sorted(part(root, run, "*").parent.glob("*"))
    records = [record for place in places if (record := _record(place)) is not None]
    cases, seconds = sum(record.cases for record in records), max((record.seconds for record in records), default=0.0)
    findings = {signature for place in places for signature in _findings(place)}
    return SoFar(len(records), cases, cases / seconds if seconds else 0.0, len(findings))


def _record(place: Path) -> RunRecord | None:
    """The run of one worker; None as long as it has written none."""
    try:
        return RunRecord.from_json(read_json(place / "run.json"))
    except RecordError:
        return None


def _findings(place: Path) -> set[str]:
    try:
        events = [json.loads(line) for line in read_events(place)]
    except ReportsError:
        return set()
    return {event["signature"] for event in events if event["event"] == "finding"}
