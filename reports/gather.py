"""One run that several processes did their parts of: each writes a reports directory of its own, and they become one.

DIR/parts/<run>/<worker>/  what each worker writes, gone when it is in DIR
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from reports.events import FILE, read_events
from reports.files import write_json, write_text
from reports.finding import Finding
from reports.merge import Merged, united
from reports.run import ReportsError, RunDirectory, RunRecord
from reports.stored import StoredRun, Warn, is_reports, read_run

NOTHING: Final = "nothing to draw"
"""The reason to stop of a run, or of a worker, that was given no property."""

_REASONS: Final = ("running", "interrupted", "time", "cases", NOTHING)
"""Of several the first one holds: what one worker did not come to is open."""


def part(root: Path, run: str, worker: str) -> Path:
    """Where a worker writes."""
    return root / "parts" / run / worker


def gather(root: Path, run: str, warn: Warn) -> tuple[RunRecord, list[Finding]] | None:
    """Move what the workers of a run have left to `root`, as if one process had written it there.

    Returns:
        The run and what is new in it; None if there is nothing of it.

    Raises:
        ReportsError: a part cannot be read, or `root` cannot be written. The parts stay.
    """
    places = [place for place in sorted((root / "parts" / run).glob("*")) if is_reports(place)]
    if not places:
        return None
    parts = [read_run(place, warn) for place in places]
    busy = [one for one in parts if not _idle(one)] or parts
    merged = united(busy)
    record = _as_one(busy, merged.record)
    try:
        _write(dataclasses.replace(merged, record=record), RunDirectory(root))
        write_text(root / FILE, "".join(f"{line}\n" for line in _events(places)))
        shutil.rmtree(root / "parts" / run)
        if not any((root / "parts").iterdir()):
            (root / "parts").rmdir()
    except OSError as error:
        raise ReportsError(f"cannot write {error.filename or root}: {error.strerror}") from None
    listed = {entry["signature"] for entry in record.findings}
    return record, [item.finding for item in merged.findings if item.finding.signature in listed]


def _idle(one: StoredRun) -> bool:
    """Whether a worker was given nothing to draw, so that what it says of known issues means nothing."""
    return one.record is not None and one.record.stop_reason == NOTHING


def _as_one(parts: Sequence[StoredRun], merged: RunRecord) -> RunRecord:
    """The merged record, with times that passed side by side, and the reason of the worker that came least far."""
    records = [one.record for one in parts if one.record is not None]
    reasons = ["running" if one.record is None else one.record.stop_reason for one in parts]
    reason = min(reasons, key=lambda reason: _REASONS.index(reason) if reason in _REASONS else len(_REASONS))
    return dataclasses.replace(
        merged,
        budget=max((record.budget for record in records), default=0.0),
        seconds=max((record.seconds for record in records), default=0.0),
        stop_reason="interrupted" if reason == "running" else reason,
    )


def _write(merged: Merged, directory: RunDirectory) -> None:
    directory.prepare()
    for line in merged.observations:
        directory.observe(json.loads(line))
    for item in merged.findings:
        if item.script is None:
            write_json(directory.folder(item.finding) / "finding.json", item.finding.to_json())
        else:
            directory.write_finding(item.finding, item.script)
    directory.write_run(merged.record)


def _events(places: Sequence[Path]) -> list[str]:
    """The events of all workers in their order, each with the name of its worker."""
    events: list[dict[str, Any]] = []
    for place in places:
        if (place / FILE).exists():
            events += [{**json.loads(line), "worker": place.name} for line in read_events(place)]
    return [json.dumps(event, ensure_ascii=False) for event in sorted(events, key=lambda event: float(event["seconds"]))]
