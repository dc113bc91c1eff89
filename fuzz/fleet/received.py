"""What a shard has sent, on this machine: a reports directory that grows as the shard's own does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from reports.files import write_text
from reports.finding import Finding, RecordError, read_json
from reports.stored import is_reports
from strategies.case import CaseError

_RECORD: Final = "run.json"
_FINDING: Final = "finding.json"


class Received:
    """The reports directory `root` of one attempt. What comes is written at once, each file as a whole."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._counts: dict[str, int] = {}

    @property
    def roots(self) -> list[Path]:
        """The reports directories in it: the run's own, or, until there is one, those of its pytest-xdist workers."""
        own = [self.root] if is_reports(self.root) else []
        if (self.root / _RECORD).exists():
            return own
        return own + [place for place in sorted(self.root.glob("parts/*/*")) if is_reports(place)]

    @property
    def cases(self) -> int:
        """Cases that were run, as far as it is known here."""
        return self._counts.get(_RECORD, sum(self._counts.values()))

    def take(self, files: Mapping[str, str]) -> list[Finding]:
        """Write the files and return the new defects among them.

        Raises:
            OSError: they cannot be written.
        """
        # A record last: what it names is there then, whenever this is killed.
        for name in sorted(files, key=lambda name: (PurePosixPath(name).name in {_RECORD, _FINDING}, name)):
            write_text(self.root / _inside(name), files[name])
        self._counts |= {name: _cases(text) for name, text in files.items() if PurePosixPath(name).name == _RECORD}
        found = [self._finding(name) for name in files if PurePosixPath(name).name == _FINDING]
        return [finding for finding in found if finding is not None and _counts(finding)]

    def _finding(self, name: str) -> Finding | None:
        try:
            return Finding.from_json(read_json(self.root / _inside(name)))
        except (RecordError, CaseError):
            return None  # `merge` says what is wrong with it


def _counts(finding: Finding) -> bool:
    return finding.verified and finding.minimal and finding.known is None


def _inside(name: str) -> PurePosixPath:
    """`name`, which came over a network, as a path that leads nowhere else."""
    return PurePosixPath(*(part for part in PurePosixPath(name).parts if part not in {"/", ".."}))


def _cases(text: str) -> int:
    try:
        data: Any = json.loads(text)
    except ValueError:
        return 0
    return data["cases"] if isinstance(data, dict) and isinstance(data.get("cases"), int) else 0
