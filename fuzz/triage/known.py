"""Known issues: rows of a TOML file that name findings which do not fail a run.

[[issue]]
signature = "functional.gemv_4bit | gemv_4bit | missing error | triggers: weight.layout=in_out"
link = "https://github.com/bitsandbytes-foundation/bitsandbytes/issues/1862"
versions = ">=0.48,<0.51"
reason = "gemv_4bit does not check the activation's length"
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

_KEYS: Final = ("signature", "link", "versions", "reason")


class KnownIssuesError(ValueError):
    """A known-issues file that cannot be used."""


@dataclass(frozen=True, slots=True)
class KnownIssue:
    """One row: a finding's signature, where it is reported, and the releases it is expected in."""

    signature: str
    link: str
    versions: SpecifierSet
    reason: str

    def covers(self, signature: str, version: str) -> bool:
        """Whether this row is about a finding with `signature` in release `version`."""
        return self.signature == signature and self.versions.contains(Version(version), prereleases=True)


def load(path: Path) -> tuple[KnownIssue, ...]:
    """The rows of a known-issues file.

    Raises:
        KnownIssuesError: no such file, not TOML, or a row with a missing, unknown or malformed key; one sentence.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KnownIssuesError(f"cannot read the known-issues file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KnownIssuesError(f"the known-issues file {path} is not TOML: {error}") from None
    if unknown := sorted(set(data) - {"issue"}):
        raise KnownIssuesError(f"{path}: unknown table {unknown[0]!r}, rows are [[issue]]")
    rows = data.get("issue", [])
    if not isinstance(rows, list):
        raise KnownIssuesError(f"{path}: rows are [[issue]], with two brackets")
    return tuple(_row(path, number, row) for number, row in enumerate(rows, start=1))


def _row(path: Path, number: int, row: object) -> KnownIssue:
    if not isinstance(row, dict):
        raise KnownIssuesError(f"{path}: issue {number} is not a table; rows are [[issue]]")
    if unknown := sorted(set(row) - set(_KEYS)):
        raise KnownIssuesError(f"{path}: issue {number} has an unknown key {unknown[0]!r}; known are {', '.join(_KEYS)}")
    values: list[str] = []
    for key in _KEYS:
        value = row.get(key)
        if not isinstance(value, str):
            raise KnownIssuesError(
                f"{path}: issue {number} lacks {key!r}" if value is None else f"{path}: issue {number}: {key!r} is not text"
            )
        values.append(value)
    signature, link, versions, reason = values
    try:
        return KnownIssue(signature, link, SpecifierSet(versions), reason)
    except InvalidSpecifier:
        raise KnownIssuesError(f"{path}: issue {number}: {versions!r} is not a version range such as '>=0.49,<0.51'") from None
