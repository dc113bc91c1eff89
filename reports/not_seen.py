"""On which devices a defect was not seen, of several runs.

What was not seen may not have been drawn. So it is told how often the others were asked, and they must have been asked the
same: the same path of the same release. Devices are compared with their like, GPUs with GPUs: a known-issues file has rows
for one of the two, so that what is a finding here may be known there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from reports.finding import Finding
from reports.hardware import hardware
from reports.only_on import seen_on
from reports.run import MERGED, RunRecord
from reports.stored import StoredRun
from reports.unconfirmed import kind


def not_seen_on(finding: Finding, before: Iterable[Finding], runs: Iterable[StoredRun]) -> dict[str, int]:
    """The hardware on which `finding` was not seen, and how many verdicts there are of its path there.

    Args:
        finding: with all its sightings.
        before: what it was merged from.
        runs: all runs that are merged, also those that did not see it.
    """
    counts: Counter[str] = Counter()
    for part in before:
        counts.update(part.not_seen_on)
    saw: set[str] = set()
    for run in runs:
        if run.record is not None and _was_asked(finding, run.record):
            counts[hardware(run.record.system)] += run.record.paths[finding.path]
            saw |= {hardware(run.record.system)} if _saw(finding, run) else set()
    return {name: count for name, count in counts.items() if name and name not in saw | seen_on(finding)}


def _was_asked(finding: Finding, record: RunRecord) -> bool:
    """Whether a run judged the finding's path, on a release and a kind of device on which it was seen."""
    systems = (finding.system, *(sighting.system for sighting in finding.sightings))
    where = {(system.get("bitsandbytes"), system.get("device")) for system in systems}
    # A merged record has the system of its first run only.
    return (
        record.stop_reason != MERGED
        and record.paths.get(finding.path, 0) > 0
        and (record.system.get("bitsandbytes"), record.system.get("device")) in where
    )


def _saw(finding: Finding, run: StoredRun) -> bool:
    """Whether a run has seen a failure of this kind, confirmed or not, new or known."""
    rows = run.record.known if run.record is not None else []
    names = [
        *run.findings,
        *(observation.signature for observation in run.observations),
        *(str(row["title"]) for row in rows if row["state"] == "seen"),
    ]
    return kind(finding.signature) in map(kind, names)
