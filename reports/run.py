"""A run on disk: `run.json`, `observations.jsonl` and one folder a finding."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from reports import schema
from reports.coverage import Coverage
from reports.files import append_json_line, write_json, write_text
from reports.finding import Finding, read_json
from reports.issue import write_issue
from reports.launches import Launches
from reports.previous import Previous
from reports.space import Space

FORMAT_VERSION: Final = 3
"""Version of `run.json`. It changes when an old file would lack something or be read with another meaning. Members that
came later have defaults, so that a file without them can be read, and a program that does not know them leaves them out."""

RUNNING: Final = "running"
"""The reason to stop of a run that goes on, or was killed."""

MERGED: Final = "merged"
"""The reason to stop of several runs that were merged."""


class ReportsError(RuntimeError):
    """The reports directory cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What `run.json` says.

    Attributes:
        cases: Cases that were run. `surfaces` and `paths` count verdicts by name.
        rulings: counts of verdicts that were valid, invalid or unspecified by the contract.
        coverage: what was drawn.
        seconds: duration so far; `stop_reason` is "running" until the run has ended.
        child_start_seconds: what a child costs after the fork.
        findings: signature, slug and number of Cases of what is new and verified; each fails the run.
        known: the rows of the known-issues file that are in force here: title, link, reason, number of Cases and state
            ("seen", "looks fixed", "not met").
        unconfirmed: what was observed and is not a finding, with the reason; "rate" is there if it is flaky.
        warnings: sentences about the run that a person should read.
        date: when it was written last, in UTC as ISO 8601 has it; empty in files that do not say.
        throughput: [seconds, Cases] as time went by, a bounded number of points.
        space: counts by bins of sizes, dtypes and kernels.
        previous: the run before, in the same directory.
        launches: which kernels were launched; empty where nobody looked.
    """

    system: dict[str, str]
    note: str
    seed: int
    budget: float
    cases: int = 0
    surfaces: dict[str, int] = field(default_factory=dict)
    paths: dict[str, int] = field(default_factory=dict)
    rulings: dict[str, int] = field(default_factory=dict)
    coverage: Coverage = field(default_factory=Coverage)
    children_replaced: int = 0
    child_start_seconds: float = 0.0
    seconds: float = 0.0
    stop_reason: str = RUNNING
    findings: list[dict[str, Any]] = field(default_factory=list)
    known: list[dict[str, Any]] = field(default_factory=list)
    unconfirmed: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    date: str = ""
    throughput: list[list[float]] = field(default_factory=list)
    space: Space = field(default_factory=Space)
    previous: Previous | None = None
    launches: Launches = field(default_factory=Launches)

    @classmethod
    def from_json(cls, data: object) -> Self:
        """The record in `run.json`.

        Raises:
            RecordError: another format version, or something missing or malformed; one sentence.
        """
        if not isinstance(data, dict) or data.get("format_version") != FORMAT_VERSION:
            version = data.get("format_version") if isinstance(data, dict) else None
            raise schema.RecordError(f"run format_version is {version!r}, this program reads {FORMAT_VERSION}")
        values = {name: value for name, value in data.items() if name in _MEMBERS | _LATER}  # a later program may add others
        schema.check(values, "the run", _MEMBERS, _LATER)
        previous = values.get("previous")
        parts = {
            "coverage": Coverage.from_json(values["coverage"], "'coverage' of the run"),
            "space": Space.from_json(values.get("space", Space().to_json()), "'space' of the run"),
            "launches": Launches.from_json(values.get("launches", Launches().to_json()), "'launches' of the run"),
            "previous": None if previous is None else Previous.from_json(previous, "'previous' of the run"),
        }
        return cls(**values | parts)


def _point(value: Any, place: str) -> None:
    """Seconds and Cases."""
    schema.array(schema.number)(value, place)
    if len(value) != 2:  # noqa: PLR2004
        raise schema.RecordError(f"{place} is not a pair of numbers")


_MEMBERS: Final[dict[str, schema.Check]] = {
    "system": schema.mapping(schema.text),
    **dict.fromkeys(("note", "stop_reason"), schema.text),
    "seed": schema.integer,
    **dict.fromkeys(("budget", "child_start_seconds", "seconds"), schema.number),
    **dict.fromkeys(("cases", "children_replaced"), schema.count),
    **dict.fromkeys(("surfaces", "paths", "rulings"), schema.mapping(schema.count)),
    **dict.fromkeys(("findings", "unconfirmed"), schema.array(schema.entry({"signature": schema.text}))),
    "known": schema.array(schema.entry({**dict.fromkeys(("title", "state"), schema.text), "cases": schema.count})),
    "warnings": schema.array(schema.text),
    "coverage": schema.json_object,
}
"""What is in the file, by the names of the attributes."""

_LATER: Final[dict[str, schema.Check]] = {
    "date": schema.text,
    "throughput": schema.array(_point),
    "space": schema.json_object,
    "launches": schema.json_object,
    "previous": schema.nothing_or(schema.json_object),
}
"""What older files of this format lack."""


class RunDirectory:
    """The directory that a run writes to. Every file is written atomically; observations are appended as they come."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        """Make the directory and see that it can be written.

        Raises:
            ReportsError: it cannot, with the reason.
        """
        try:
            write_text(self.root / ".writable", "")
            (self.root / ".writable").unlink()
        except OSError as error:
            raise ReportsError(f"cannot write to the reports directory {self.root}: {error.strerror}") from None

    def previous(self) -> Previous | None:
        """What the run that is here leaves to the next one, which overwrites it; None if there is none that can be read.

        A run that was killed does not list its findings. The one before it is then still the one to compare with.
        """
        try:
            record = RunRecord.from_json(read_json(self.root / "run.json"))
        except schema.RecordError:
            return None
        if record.stop_reason == RUNNING:
            return record.previous
        return Previous(date=record.date, system=record.system, findings=record.findings)

    def observe(self, observation: dict[str, Any]) -> None:
        """Append one observation, as first seen, to `observations.jsonl`. What earlier runs left there stays."""
        append_json_line(self.root / "observations.jsonl", observation)

    def write_run(self, record: RunRecord) -> None:
        """Write `run.json`."""
        write_json(self.root / "run.json", {"format_version": FORMAT_VERSION, **dataclasses.asdict(record)})

    def folder(self, finding: Finding) -> Path:
        """The folder of a finding."""
        return self.root / "findings" / finding.slug

    def write_script(self, finding: Finding, script: str) -> Path:
        """Write `repro.py` and return its path."""
        path = self.folder(finding) / "repro.py"
        write_text(path, script)
        return path

    def write_finding(self, finding: Finding, script: str) -> None:
        """Write `finding.json`, `repro.py` and `issue.md`."""
        self.write_script(finding, script)
        write_record(self.folder(finding), finding, script)


def write_record(folder: Path, finding: Finding, script: str) -> None:
    """Write `issue.md` and `finding.json` to a finding's folder, whatever its name; `script` is the text of its `repro.py`."""
    write_text(folder / "issue.md", write_issue(finding, script))
    write_json(folder / "finding.json", finding.to_json())
