"""Findings as rows of a known-issues file, for runs that come back to the same defects night after night.

A row that a program wrote is in force for some days only. Then it is dropped: what is still there is found once more.
"""

from __future__ import annotations

import datetime as dt
import json
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from fuzz.triage.known import KnownIssuesError, load
from reports.finding import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A finding that was seen with one release on one kind of device.

    Attributes:
        versions: the release, as a range of versions.
        device: "cpu" or "cuda".
        expires: the day from which on it is found again.
        case: its minimal Case, as a path from the file of rows.
    """

    signature: str
    versions: str
    device: str
    expires: dt.date
    case: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What no two rows have in common."""
        return (self.signature, self.versions, self.device)

    def to_toml(self) -> str:
        """The row as a known-issues file has it. A JSON text is a TOML text."""
        members: dict[str, Any] = {
            "signature": self.signature,
            "link": "unreported",
            "versions": self.versions,
            "reason": "found by an earlier run",
            "device": self.device,
            "cases": [self.case],
        }
        texts = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in members.items()]
        return "\n".join(["[[issue]]", *texts, f"expires = {self.expires.isoformat()}", ""])


def read(path: Path) -> list[Remembered]:
    """The rows that were written to `path`; none if there is no such file.

    Raises:
        KnownIssuesError: somebody has changed it, so that it can no longer be read.
    """
    if not path.exists():
        return []
    load(path)
    rows = tomllib.loads(path.read_text(encoding="utf-8")).get("issue", [])
    try:
        return [_row(row) for row in rows]
    except (KeyError, ValueError) as error:
        raise KnownIssuesError(
            f"{path} has a row that no run has written ({error}); rows of your own belong into the known-issues file"
        ) from None


def _row(row: dict[str, Any]) -> Remembered:
    (case,) = row["cases"]
    return Remembered(signature=row["signature"], versions=row["versions"], device=row["device"], expires=row["expires"], case=case)


def rows_of(finding: Finding, case: str, expires: dt.date) -> Iterator[Remembered]:
    """A row for each release and kind of device that `finding` was seen on.

    Args:
        finding: verified, with triggers: without any, a row would mute its kind of failure on its path.
        case: where its minimal Case is.
        expires: the day from which on it is to be found again.
    """
    for system in [sighting.system for sighting in finding.sightings] or [finding.system]:
        yield Remembered(
            signature=finding.signature,
            versions=f"=={_public(system['bitsandbytes'])}",
            device=system["device"],
            expires=expires,
            case=case,
        )


def _public(version: str) -> str:
    """A version without what somebody's own build adds to it, which ranges of versions ignore."""
    try:
        return Version(version).public
    except InvalidVersion:
        return version


def in_force(rows: Iterable[Remembered], today: dt.date) -> list[Remembered]:
    """The rows that are not past their day."""
    return [row for row in rows if today < row.expires]


def text_of(rows: Sequence[Remembered]) -> str:
    """The rows as a file."""
    return "\n".join(row.to_toml() for row in rows)
