"""What several runs saw and none of them confirmed: nothing that was announced is lost when they are merged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

from reports.finding import Finding
from reports.smallest import size
from reports.stored import StoredRun

CUT_SHORT: Final = "seen, but the run ended before it was confirmed"
MISSING: Final = "a run lists it as a finding, but its folder is missing or cannot be read"

Entry = dict[str, Any]


def unconfirmed(runs: Sequence[StoredRun], findings: Collection[Finding]) -> list[Entry]:
    """The entries for `run.json`.

    Args:
        runs: what is merged.
        findings: what they found, one for each signature.
    """
    verified = {finding.signature for finding in findings if finding.verified}
    told = _by_signature([*_told(runs), *_missing(runs, findings), *map(_entry, (item for item in findings if not item.verified))])
    listed = [entry for signature, entry in told.items() if signature not in verified]
    settled = {kind(finding.signature) for finding in findings} | {kind(signature) for signature in told}
    return [*listed, *_cut_short(runs, settled)]


def kind(signature: str) -> str:
    """A signature without the triggers, which are known only after a reduction."""
    return signature.rpartition(" | triggers: ")[0]


def _records(runs: Iterable[StoredRun]) -> Iterator[Entry]:
    for run in runs:
        if run.record is not None:
            yield from run.record.unconfirmed


def _told(runs: Iterable[StoredRun]) -> Iterator[Entry]:
    """What runs list themselves."""
    return (entry for entry in _records(runs) if entry.get("reason") != CUT_SHORT)


def _missing(runs: Iterable[StoredRun], findings: Collection[Finding]) -> Iterator[Entry]:
    there = {finding.signature for finding in findings}
    for run in runs:
        for entry in run.record.findings if run.record is not None else ():
            if entry["signature"] not in there:
                yield {"signature": entry["signature"], "slug": entry.get("slug", ""), "reason": MISSING}


def _entry(finding: Finding) -> Entry:
    """The entry of a finding that is not verified and that its run, being killed, does not list."""
    entry = {"signature": finding.signature, "slug": finding.slug}
    rate = f"{finding.reproduced} of {finding.attempts}"
    if finding.flaky:
        return entry | {"reason": "it fails in some fresh processes and not in others", "rate": rate}
    status = "no script" if finding.script is None else f"a script with exit status {finding.script.exit_status}"
    return entry | {"reason": f"failed in {rate} fresh processes, with {status}"}


def _cut_short(runs: Sequence[StoredRun], settled: Collection[str]) -> Iterator[Entry]:
    """One entry for each kind of failure that a run which was cut short, or one merged before, left open.

    A run that came to its end tells of everything that it did not confirm, or has found that a known defect explains it.
    """
    before = [entry for entry in _records(runs) if entry.get("reason") == CUT_SHORT]
    entries = {kind(entry["signature"]): entry for entry in sorted(before, key=lambda entry: str(entry["signature"]))}
    open_ones = [observation for run in runs if run.cut_short for observation in run.observations]
    for observation in sorted(open_ones, key=lambda observation: size(observation.case), reverse=True):  # the smallest is last
        entries[kind(observation.signature)] = {"signature": observation.signature, "slug": "", "reason": CUT_SHORT}
    return (entry for name, entry in entries.items() if name not in settled)


def _by_signature(entries: Iterable[Entry]) -> dict[str, Entry]:
    united: dict[str, Entry] = {}
    for entry in entries:
        united.setdefault(entry["signature"], entry)
    return united
