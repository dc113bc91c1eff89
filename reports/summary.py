"""The end of a run in lines that a person reads in ten seconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from reports import coverage, launches
from reports.affected import sentence
from reports.counted import counted
from reports.finding import Finding
from reports.issue import title
from reports.only_on import only_on
from reports.run import RunRecord
from reports.text import one_line


def summary_lines(record: RunRecord, findings: Sequence[Finding], root: Path) -> Iterator[str]:
    """The summary of a run, line by line.

    Args:
        record: the run.
        findings: what is new and verified.
        root: the reports directory.
    """
    seen = [row for row in record.known if row["state"] == "seen"]
    flaky = [entry for entry in record.unconfirmed if "rate" in entry]
    rate = record.cases / record.seconds if record.seconds else 0.0
    yield (
        f"{record.cases} cases in {record.seconds:.0f} s ({rate:.0f}/s) on bitsandbytes {record.system['bitsandbytes']}, "
        f"{where(record.system)}; stopped: {record.stop_reason}; seed {record.seed}"
    )
    yield "verdicts by surface: " + ", ".join(f"{name} {count}" for name, count in sorted(record.surfaces.items()))
    yield from coverage.lines(record.coverage)
    yield from launches.lines(record.launches)
    yield (
        f"{len(findings)} new findings, {len(seen)} known defects seen, {len(flaky)} flaky, "
        f"{len(record.unconfirmed) - len(flaky)} unconfirmed"
    )
    yield from _new(findings, root)
    yield from _known(record)
    for entry in flaky:
        yield f"  flaky  {one_line(entry['signature'])}  [{one_line(entry['rate'])}]: {one_line(entry['reason'])}"
    for entry in record.unconfirmed:
        if "rate" not in entry:
            yield f"  unconfirmed  {one_line(entry['signature'])}: {one_line(entry['reason'])}"
    for warning in record.warnings:
        yield f"warning: {one_line(warning)}"


def _new(findings: Sequence[Finding], root: Path) -> Iterator[str]:
    for finding in findings:
        yield f"  NEW  {title(finding)}  [{counted(finding.observed, 'case')}]"
        yield f"       {root / 'findings' / finding.slug}"
        if affects := sentence(finding):
            yield f"       {affects}"
        if device := only_on(finding):
            yield f"       seen on {one_line(device)} only"


def _known(record: RunRecord) -> Iterator[str]:
    """The rows of the known-issues file that were met, and loudly those that do not fail any more."""
    seen = [row for row in record.known if row["state"] == "seen"]
    if record.known:
        yield f"known defects seen: {len(seen)} of {len(record.known)} rows that apply here"
    for row in seen:
        yield f"  known  {one_line(row['title'])}  [{counted(row['cases'], 'case')}]  ({one_line(row['link'])})"
    for row in record.known:
        if row["state"] == "looks fixed":
            release = one_line(record.system["bitsandbytes"])
            yield f"  FIXED?  looks fixed in bitsandbytes {release}: {one_line(row['title'])}  ({one_line(row['link'])})"


def where(system: dict[str, str]) -> str:
    """The hardware in a few words."""
    return f"{system['device']}: {system.get('gpu') or system.get('cpu', '')}"
