"""Defects that one type of device shows and others do not, in words."""

from __future__ import annotations

from reports.finding import Finding
from reports.hardware import hardware
from reports.text import code, prose
from reports.wording import listing


def only_on(finding: Finding) -> str:
    """The one type of device that shows the defect where others were asked; empty if there are several, or none was asked."""
    seen = seen_on(finding)
    return next(iter(seen)) if len(seen) == 1 and finding.not_seen_on else ""


def seen_on(finding: Finding) -> set[str]:
    """The hardware on which the defect was seen."""
    return {hardware(system) for system in (finding.system, *(sighting.system for sighting in finding.sightings))}


def not_seen(finding: Finding) -> str:
    """Where it was not seen, for people; empty if that is not known of any device."""
    if not finding.not_seen_on:
        return ""
    asked = [f"{prose(name)} ({count} {_verdicts(count)})" for name, count in sorted(finding.not_seen_on.items())]
    there = f"Not seen on {listing(asked)}, where the same release judged {code(finding.path)}."
    only = only_on(finding)
    return f"Seen on {prose(only)} only. {there}" if only else there


def _verdicts(count: int) -> str:
    return "verdict" if count == 1 else "verdicts"
