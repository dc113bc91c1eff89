"""Reads what a page shows of a reports directory. One finding that cannot be read does not cost the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reports.finding import Finding, read_json
from reports.run import RUNNING, ReportsError, RunRecord
from reports.schema import RecordError
from reports.stored import StoredFinding
from strategies.case import CaseError


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a page shows.

    Attributes:
        root: the reports directory, as the caller named it.
        findings: those that the run lists; all that are there if it was killed before it listed any.
        unread: a sentence for each finding that could not be read.
    """

    root: Path
    record: RunRecord
    findings: tuple[StoredFinding, ...]
    unread: tuple[str, ...]


def load(root: Path) -> Shown:
    """What is in the reports directory `root`.

    Raises:
        ReportsError: it has no `run.json`, or one that cannot be read; one sentence.
    """
    try:
        record = RunRecord.from_json(read_json(root / "run.json"))
    except RecordError as error:
        raise ReportsError(f"{root} has no run that can be shown: {error}") from None
    findings: list[StoredFinding] = []
    unread: list[str] = []
    for folder in _folders(root, record):
        try:
            findings.append(_read(folder))
        except (RecordError, CaseError, OSError) as error:
            unread.append(f"The finding in {folder.name} cannot be read: {error}.")
    return Shown(root=root, record=record, findings=tuple(findings), unread=tuple(unread))


def _folders(root: Path, record: RunRecord) -> Iterator[Path]:
    if record.stop_reason == RUNNING:
        return (file.parent for file in sorted((root / "findings").glob("*/finding.json")))
    # A name in a file is not to lead out of the directory.
    return (root / "findings" / Path(str(entry.get("slug", ""))).name for entry in record.findings)


def _read(folder: Path) -> StoredFinding:
    script = folder / "repro.py"
    finding = Finding.from_json(read_json(folder / "finding.json"))
    return StoredFinding(finding, script.read_text(encoding="utf-8", errors="replace") if script.exists() else None)
