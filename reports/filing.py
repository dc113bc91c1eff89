"""Files findings as issues: each defect once, and each release and device once in its issue."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from reports.finding import Finding
from reports.github import Change, GitHub, Issue
from reports.issue import body, title
from reports.machines import system_info
from reports.marker import digest, marker, sightings
from reports.stored import StoredFinding, StoredRun


class Step(enum.Enum):
    """What becomes of a finding."""

    CREATE = "create"
    COMMENT = "comment"
    TOLD = "told"
    PUT_OFF = "put off"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done for one finding: the change to be sent, None for nothing, and the issue that is there already."""

    step: Step
    finding: Finding
    change: Change | None = None
    issue: Issue | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a plan: the address of the issue or comment, empty if nothing was sent."""

    plan: Plan
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a user asks for: labels of new issues, how many at most, and whether anything is sent."""

    labels: Sequence[str] = ()
    most: int = 5
    send: bool = False


def to_file(run: StoredRun, leave_out: Callable[[Finding, str], None]) -> Iterator[StoredFinding]:
    """The findings of a run that are worth an issue; `leave_out` is told of the others in its directory, with the reason."""
    for item in run.findings.values():
        reason = _unfit(item, run)
        if reason:
            leave_out(item.finding, reason)
        else:
            yield item


def _unfit(item: StoredFinding, run: StoredRun) -> str:
    """Why this is no issue; empty if it is one."""
    if not item.finding.verified:
        return "not verified"
    if not item.finding.minimal:
        return "not reduced to the end, so that it has no name that lasts"
    if item.finding.known is not None:
        return f"known: {item.finding.known}"
    if not run.lists(item.finding):
        return "of an earlier run; the last one in this directory did not see it"
    return "" if item.script is not None else "its repro.py is missing"


def file(stored: Iterable[StoredFinding], github: GitHub, wanted: Wanted) -> Iterator[Done]:
    """File findings, one after the other: what is yielded is done, also if the next one fails.

    Args:
        stored: what `to_file` lets through.
        github: the repository.
        wanted: the user's choices. Nothing is changed unless `wanted.send`; what is there already is asked for all the same.

    Raises:
        GitHubError: `gh` failed.
    """
    created = 0
    for item in stored:
        plan = _plan(item, github, wanted, room=created < wanted.most)
        created += plan.step is Step.CREATE
        yield Done(plan, github.send(plan.change) if wanted.send and plan.change is not None else "")


def _plan(item: StoredFinding, github: GitHub, wanted: Wanted, *, room: bool) -> Plan:
    finding = item.finding
    issue = github.find(digest(finding), marker(finding))
    if issue is not None:
        fresh = [mark for mark in sightings(finding) if not issue.says(mark)]
        comment = github.commenting(issue, _seen_here(finding, fresh)) if fresh else None
        return Plan(Step.COMMENT if comment else Step.TOLD, finding, comment, issue)
    if not room:
        return Plan(Step.PUT_OFF, finding)
    return Plan(Step.CREATE, finding, github.creating(title(finding), wanted.labels, body(finding, item.script or "")))


def _seen_here(finding: Finding, marks: Sequence[str]) -> str:
    """The comment for releases and devices that the issue does not tell of yet."""
    times = f"It failed in {finding.reproduced} of {finding.attempts} fresh processes, and a script shows it."
    return "\n\n".join(["Seen here too:", system_info(finding), times, "\n".join(marks)]) + "\n"
