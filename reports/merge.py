"""Makes one reports directory of several: each defect once, in its smallest Case, with everywhere that it was seen."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reports.coverage import together
from reports.errors import MINIMAL, WORST
from reports.extent import Sighting
from reports.files import write_json, write_text
from reports.finding import Finding
from reports.launches import of_all
from reports.not_seen import not_seen_on
from reports.run import MERGED, ReportsError, RunDirectory, RunRecord
from reports.sanitizer import SanitizerReport
from reports.smallest import size
from reports.space import united as space_of_all
from reports.stored import StoredFinding, StoredRun, Warn, is_reports, read_run
from reports.unconfirmed import unconfirmed

_STATES: Final = ("seen", "looks fixed", "not met")
"""States of a row of the known-issues file; of several runs the first one holds."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What is to be written: the record, the findings, scripts without a finding by folder, and lines of observations."""

    record: RunRecord
    findings: tuple[StoredFinding, ...]
    scripts: dict[str, str]
    observations: tuple[str, ...]


def merge(roots: Sequence[Path], into: Path, warn: Warn) -> Merged:
    """Read the reports directories `roots`, write what they have together to `into`, and return it.

    A directory that is named twice counts once. `into` may be one of them: everything is read before anything is written.

    Args:
        roots: the directories, at least one.
        into: where the result goes.
        warn: told of what cannot be read and is left out.

    Raises:
        ReportsError: one of them is no reports directory, or `into` holds what the others do not, or cannot be written.
    """
    runs = [read_run(root, warn) for root in {root.resolve(): root for root in roots}.values()]
    merged = united(runs)
    if into.resolve() not in {run.root.resolve() for run in runs} and is_reports(into):
        _refuse_to_lose(read_run(into, warn), merged)
    directory = RunDirectory(into)
    directory.prepare()
    _write(merged, directory)
    return merged


def united(runs: Sequence[StoredRun]) -> Merged:
    """Several runs as one."""
    signatures = dict.fromkeys(signature for run in runs for signature in run.findings)
    findings = [_one([run.findings[signature] for run in runs if signature in run.findings], runs) for signature in signatures]
    slugs = {item.finding.slug for item in findings}
    return Merged(
        record=_record(runs, [item.finding for item in findings]),
        findings=tuple(findings),
        scripts={name: script for run in runs for name, script in run.scripts.items() if name not in slugs},
        observations=tuple(observation.line for run in runs for observation in run.observations),
    )


def _one(same: Sequence[StoredFinding], runs: Sequence[StoredRun]) -> StoredFinding:
    """The finding with the smallest Case, of those that are verified if any is, with what the others add to it."""
    kept = min(same, key=lambda item: (not item.finding.verified, size(item.finding.case)))
    findings = [item.finding for item in same]
    worst = _worst(findings)
    grids = {MINIMAL: kept.finding.errors.get(MINIMAL), WORST: worst.errors.get(WORST) if worst else None}
    changes: dict[str, Any] = {
        "observed": sum(finding.observed for finding in findings),
        "sightings": _sightings(findings),
        "worst": worst.worst if worst else None,
        "errors": {name: grid for name, grid in grids.items() if grid is not None},
        "sanitizer": _sanitizer(kept.finding, findings),
    }
    merged = dataclasses.replace(kept.finding, **changes)
    return StoredFinding(dataclasses.replace(merged, not_seen_on=not_seen_on(merged, findings, runs)), kept.script)


def _sightings(findings: Iterable[Finding]) -> tuple[Sighting, ...]:
    places: dict[tuple[tuple[str, str], ...], Sighting] = {}
    for finding in findings:
        for sighting in finding.sightings or (Sighting(system=finding.system, observed=finding.observed),):
            key = tuple(sorted(sighting.system.items()))
            before = places[key].observed if key in places else 0
            places[key] = Sighting(system=sighting.system, observed=before + sighting.observed)
    return tuple(places.values())


def _sanitizer(kept: Finding, findings: Iterable[Finding]) -> tuple[SanitizerReport, ...]:
    """What each tool reported of the script of `kept`, which is the script of any finding with its Case too."""
    reports: dict[str, SanitizerReport] = {}
    for finding in (kept, *findings):
        if finding.case == kept.case:
            reports = {report.tool: report for report in finding.sanitizer} | reports
    return tuple(reports.values())


def _worst(findings: Iterable[Finding]) -> Finding | None:
    """The finding that has the worst Case of all."""
    there = [(finding.worst, finding) for finding in findings if finding.worst is not None]
    return max(there, key=lambda pair: (pair[0].error_over_bound, size(pair[0].case)), default=(None, None))[1]


def _record(runs: Sequence[StoredRun], findings: Sequence[Finding]) -> RunRecord:
    records = [run.record for run in runs if run.record is not None]
    first = records[0] if records else None
    system = first.system if first is not None else next((finding.system for finding in findings), {})
    return RunRecord(
        system=system,
        note="; ".join(dict.fromkeys(record.note for record in records if record.note)),
        seed=0 if first is None else first.seed,
        budget=sum(record.budget for record in records),
        cases=sum(record.cases for record in records),
        surfaces=_added(record.surfaces for record in records),
        paths=_added(record.paths for record in records),
        rulings=_added(record.rulings for record in records),
        coverage=together(record.coverage for record in records),
        launches=of_all(record.launches for record in records),
        children_replaced=sum(record.children_replaced for record in records),
        child_start_seconds=max((record.child_start_seconds for record in records), default=0.0),
        seconds=round(sum(record.seconds for record in records), 3),
        stop_reason=MERGED,
        findings=[_entry(finding) for finding in findings if finding.verified and finding.known is None],
        known=_known(row for record in records for row in record.known),
        unconfirmed=unconfirmed(runs, findings),
        warnings=list(dict.fromkeys(warning for record in records for warning in record.warnings)),
        date=max((record.date for record in records), default=""),
        space=space_of_all(record.space for record in records),
        # Of several runs, perhaps side by side, there is no throughput over time, and no run before.
    )


def _added(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(total)


def _entry(finding: Finding) -> dict[str, Any]:
    return {"signature": finding.signature, "slug": finding.slug, "cases": finding.observed}


def _known(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the known-issues files, one for each title."""
    united_rows: dict[str, dict[str, Any]] = {}
    for row in rows:
        before = united_rows.setdefault(row["title"], row | {"cases": 0})
        state = min(before["state"], row["state"], key=lambda state: _STATES.index(state) if state in _STATES else len(_STATES))
        united_rows[row["title"]] = before | {"cases": before["cases"] + row["cases"], "state": state}
    return list(united_rows.values())


def _refuse_to_lose(old: StoredRun, new: Merged) -> None:
    """See that a directory which is to be overwritten holds nothing but a merge of the same runs, or of some of them."""
    signatures = {item.finding.signature for item in new.findings}
    merged = old.record is not None and old.record.stop_reason == MERGED
    if not merged or set(old.findings) - signatures or {item.line for item in old.observations} - set(new.observations):
        raise ReportsError(f"{old.root} holds reports that are not among those to be merged; name it as one of them, or write elsewhere")


def _write(merged: Merged, directory: RunDirectory) -> None:
    # First the record, so that a directory in which this was cut short is known as a merge and can be written again.
    directory.write_run(merged.record)
    for item in merged.findings:
        if item.script is None:
            write_json(directory.folder(item.finding) / "finding.json", item.finding.to_json())
        else:
            directory.write_finding(item.finding, item.script)
    for name, script in merged.scripts.items():
        write_text(directory.root / "findings" / name / "repro.py", script)
    write_text(directory.root / "observations.jsonl", "".join(f"{line}\n" for line in merged.observations))
