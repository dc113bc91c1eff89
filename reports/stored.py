"""Reads back what a run left in its reports directory, also if it was killed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from reports.finding import Finding, signature
from reports.run import ReportsError, RunRecord
from reports.schema import RecordError
from strategies import fields
from strategies.case import Case, CaseError

_CUT_SHORT: Final = frozenset({"running", "interrupted"})
"""Reasons to stop of runs that did not come to tell what became of each observation."""

_T = TypeVar("_T")

Warn = Callable[[str], None]
"""Told, in one sentence, of something that cannot be read and is left out."""


@dataclass(frozen=True, slots=True)
class StoredFinding:
    """A finding and the text of its `repro.py`, None if it has none."""

    finding: Finding
    script: str | None


@dataclass(frozen=True, slots=True)
class Observation:
    """A line of `observations.jsonl`; `signature` is that of the Case as it was drawn."""

    line: str
    case: Case
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """The contents of a reports directory.

    Attributes:
        record: `run.json`; None if it was killed before it wrote one.
        findings: by signature.
        scripts: the `repro.py` of folders without a finding, whose confirmation was under way, by the folder's name.
    """

    root: Path
    record: RunRecord | None
    findings: dict[str, StoredFinding]
    scripts: dict[str, str]
    observations: tuple[Observation, ...]

    @property
    def cut_short(self) -> bool:
        """Whether it was killed or interrupted, so that observations may have come to nothing."""
        return self.record is None or self.record.stop_reason in _CUT_SHORT

    def lists(self, finding: Finding) -> bool:
        """Whether a finding is one of this run. Earlier ones leave theirs in the same directory; a run that was cut short cannot tell."""
        if self.cut_short or self.record is None:
            return True
        return any(entry["signature"] == finding.signature for entry in self.record.findings)


def is_reports(root: Path) -> bool:
    """Whether a run has written to the directory `root`."""
    return any((root / name).exists() for name in ("run.json", "findings", "observations.jsonl"))


def read_run(root: Path, warn: Warn) -> StoredRun:
    """What is in the reports directory `root`.

    Raises:
        ReportsError: it is no such directory, cannot be read, or was written in another format.
    """
    if not is_reports(root):
        raise ReportsError(f"{root} is no reports directory: it has neither run.json nor findings nor observations.jsonl")
    try:
        record = _read_record(root / "run.json", warn)
        findings, scripts = _read_folders(root / "findings", warn)
        observations = tuple(_read_observations(root / "observations.jsonl", warn))
    except OSError as error:
        raise ReportsError(f"cannot read {error.filename or root}: {error.strerror}") from None
    return StoredRun(root=root, record=record, findings=findings, scripts=scripts, observations=observations)


def _read_record(path: Path, warn: Warn) -> RunRecord | None:
    if not path.exists():
        warn(f"{path.parent} has no run.json, so that its Cases are not counted")
        return None
    data = _read_json(path, warn)
    return None if data is None else _parse(path, RunRecord.from_json, data)


def _read_folders(root: Path, warn: Warn) -> tuple[dict[str, StoredFinding], dict[str, str]]:
    findings: dict[str, StoredFinding] = {}
    scripts: dict[str, str] = {}
    folders = [folder for folder in sorted(root.glob("*")) if folder.is_dir() and not folder.name.startswith(".")]
    for folder in folders:
        script = _read_text(folder / "repro.py")
        data = _read_json(folder / "finding.json", warn) if (folder / "finding.json").exists() else None
        if data is not None:
            finding = _parse(folder / "finding.json", Finding.from_json, data)
            # A copy that somebody made of a folder is the same finding once more, and not another sighting.
            if finding.signature not in findings or folder.name == finding.slug:
                findings[finding.signature] = StoredFinding(finding, script)
        elif script is not None:
            scripts[folder.name] = script
    return findings, scripts


def _read_observations(path: Path, warn: Warn) -> Iterator[Observation]:
    # Not `splitlines`: JSON may contain other line ends than this one.
    for number, line in enumerate((_read_text(path) or "").split("\n"), start=1):
        if line.strip():
            try:
                yield _observation(line)
            except (ValueError, KeyError, TypeError):  # CaseError is a ValueError
                warn(f"{path}, line {number}, is not an observation and is left out: its writer was killed, perhaps")


def _observation(line: str) -> Observation:
    data = json.loads(line)
    case, verdict = Case.from_json(data["case"]), data["verdict"]
    names = {name: verdict[name] for name in ("surface", "path", "symptom", "how")}
    if not all(isinstance(name, str) for name in names.values()):
        raise TypeError("a verdict is named by texts")
    return Observation(line, case, signature(**names, triggers=fields.triggers(case)))


def _read_text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else None


def _read_json(path: Path, warn: Warn) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        warn(f"{path} is not JSON and is left out: {error}")
        return None


def _parse(path: Path, parse: Callable[[object], _T], data: object) -> _T:
    try:
        return parse(data)
    except (RecordError, CaseError) as error:
        raise ReportsError(f"{path} cannot be merged: {error}") from None
