"""What became of everything that a run saw, as one list for every format that machines read."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from reports.affected import sentence
from reports.finding import Finding
from reports.issue import title
from reports.run import RunRecord
from reports.stored import StoredRun
from reports.unconfirmed import unconfirmed

KILLED: Final = "killed"
"""The reason to stop of a run that left no record."""


class State(enum.Enum):
    """What it is. Only what is new fails a run."""

    NEW = "new"
    KNOWN = "known"
    FIXED = "looks fixed"
    FLAKY = "flaky"
    UNCONFIRMED = "unconfirmed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One defect, or what may be one.

    Attributes:
        name: stable between runs: the signature, or the title of a row of the known-issues file.
        title: for people, one line.
        surface, symptom: of a signature; empty for rows of the known-issues file that are no signature.
        details: for people, several lines: what was expected and what came, or why it is no finding.
        slug: the finding's folder; empty if it has none.
        link: where a known issue is told of.
    """

    state: State
    name: str
    title: str
    surface: str
    symptom: str
    details: str
    slug: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """A run and what became of what it saw, the new first."""

    record: RunRecord
    entries: tuple[Outcome, ...]

    def of(self, *states: State) -> list[Outcome]:
        """Those in one of these states."""
        return [entry for entry in self.entries if entry.state in states]

    @classmethod
    def of_run(cls, record: RunRecord, findings: Sequence[Finding]) -> Self:
        """The outcomes of a run that tells itself what it did not confirm."""
        known = [_known(row) for row in record.known if row["state"] in _STATES]
        return cls(record, (*map(_new, findings), *known, *map(_unconfirmed, record.unconfirmed)))

    @classmethod
    def of_stored(cls, run: StoredRun) -> Self:
        """The outcomes of a reports directory, also of a run that was killed, and of one in which earlier runs left findings."""
        record = run.record or RunRecord(system={}, note="", seed=0, budget=0.0, stop_reason=KILLED)
        stored = [item.finding for item in run.findings.values()]
        ended = [finding for finding in stored if _counts(finding) and run.lists(finding)]
        failed = [finding for finding in stored if not finding.verified] if run.cut_short else []
        entries = unconfirmed([run], [*ended, *failed])
        known = [_known(row) for row in record.known if row["state"] in _STATES]
        return cls(record, (*map(_new, ended), *known, *map(_unconfirmed, entries)))


_STATES: Final = {"seen": State.KNOWN, "looks fixed": State.FIXED}
"""States of a row of the known-issues file; of rows that nothing was tried for, nothing is to be told."""


def _counts(finding: Finding) -> bool:
    return finding.verified and finding.minimal and finding.known is None


def _new(finding: Finding) -> Outcome:
    lines = [f"expected: {finding.expected}", f"got: {finding.got}", sentence(finding), f"findings/{finding.slug}/repro.py"]
    return Outcome(
        state=State.NEW,
        name=finding.signature,
        title=title(finding),
        surface=finding.surface,
        symptom=finding.symptom,
        details="\n".join(line for line in lines if line),
        slug=finding.slug,
    )


def _known(row: dict[str, Any]) -> Outcome:
    name, state = str(row["title"]), _STATES[row["state"]]
    surface, symptom = _parts(name)
    words = f"{row['cases']} cases" if state is State.KNOWN else "its Case ran and did not fail"
    details = ": ".join(text for text in (words, str(row.get("reason", ""))) if text)
    link = str(row.get("link", ""))
    return Outcome(state=state, name=name, title=name, surface=surface, symptom=symptom, details=details, link=link)


def _unconfirmed(entry: dict[str, Any]) -> Outcome:
    name = str(entry["signature"])
    surface, symptom = _parts(name)
    rate = f" [{entry['rate']}]" if "rate" in entry else ""
    return Outcome(
        state=State.FLAKY if rate else State.UNCONFIRMED,
        name=name,
        title=name,
        surface=surface,
        symptom=symptom,
        details=f"{entry.get('reason', '')}{rate}",
        slug=str(entry.get("slug", "")),
    )


def _parts(signature: str) -> tuple[str, str]:
    """Surface and symptom, if it is a signature."""
    parts = signature.split(" | ")
    return (parts[0], parts[2].partition(" (")[0]) if len(parts) == 4 else ("", "")  # noqa: PLR2004 - see reports.finding.signature
