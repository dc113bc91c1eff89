"""Cases that are run before anything is drawn: those of known and of fixed defects, and what a killed run left open."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from reports.finding import RecordError, read_json
from strategies.case import Case, CaseError

MOST_LEFT: Final = 50
"""Failures of a run that was cut short which the next one looks at."""


class CorpusError(ValueError):
    """A file of the corpus that is not a Case."""


def load(folder: Path) -> dict[Path, Case]:
    """The Cases of a corpus, by file, in the order of their names; none if there is no such folder.

    Raises:
        CorpusError: a file is not a Case, in one sentence.
    """
    return {path.resolve(): read_case(path) for path in sorted(folder.glob("*.json"))}


def read_case(path: Path) -> Case:
    """The Case in a file.

    Raises:
        CorpusError: it is not one, in one sentence.
    """
    try:
        return Case.from_json(read_json(path))
    except (RecordError, CaseError) as error:
        raise CorpusError(f"{path} is not a Case: {error}") from None


def left_open(reports: Path) -> list[Case]:
    """The Cases of the failures that a run in `reports` saw and, being killed or interrupted, did not come to confirm."""
    if not _cut_short(reports / "run.json"):
        return []
    cases = dict.fromkeys(_observed(reports / "observations.jsonl"))
    return list(cases)[-MOST_LEFT:]


def _cut_short(run: Path) -> bool:
    try:
        data = read_json(run)
    except RecordError:
        return True  # it was killed before it wrote anything, or there was none; then nothing was observed either
    return isinstance(data, dict) and data.get("stop_reason") in {"running", "interrupted"}


def _observed(path: Path) -> Iterator[Case]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            yield Case.from_json(json.loads(line)["case"])
        except (ValueError, KeyError, TypeError):  # CaseError is a ValueError; a killed writer leaves half a line
            continue
