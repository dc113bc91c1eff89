"""The end of a run in lines that a person reads in ten seconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from reports.finding import Finding
from reports.issue import title
from reports.run import RunRecord


def summary_lines(record: RunRecord, findings: Sequence[Finding], root: Path) -> Iterator[str]:
    """The summary of a run, line by line."""
    new = [finding for finding in findings if finding.known is None]
    known = [finding for finding in findings if finding.known is not None]
    rate = record.cases / record.seconds if record.seconds else 0.0
    yield (
        f"{record.cases} cases in {record.seconds:.0f} s ({rate:.0f}/s) on bitsandbytes {record.system['bitsandbytes']}, "
        f"{where(record.system)}; stopped: {record.stop_reason}; seed {record.seed}"
    )
    yield "verdicts by surface: " + ", ".join(f"{name} {count}" for name, count in sorted(record.surfaces.items()))
    yield f"{len(new)} new findings, {len(known)} known, {len(record.unconfirmed)} unconfirmed"
    for label, group in (("NEW", new), ("known", known)):
        for finding in group:
            yield f"  {label}  {title(finding)}  [{finding.observed} cases]"
            link = f"  ({finding.known})" if finding.known else ""
            yield f"       {root / 'findings' / finding.slug}{link}"
    for entry in record.unconfirmed:
        yield f"  unconfirmed  {entry['signature']}: {entry['reason']}"


def where(system: dict[str, str]) -> str:
    """The hardware in a few words."""
    return f"{system['device']}: {system.get('gpu') or system.get('cpu', '')}"
