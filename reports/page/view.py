"""What the template is given: everything that is to be thought about is thought about here."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from reports.affected import affected, sentence
from reports.counted import counted
from reports.finding import Finding
from reports.issue import expectation, other_paths, title, what_happens
from reports.machines import system_info
from reports.memory_safety import memory_safety
from reports.only_on import only_on
from reports.page.changes import Changes, State, changes
from reports.page.finding_pictures import pictures
from reports.page.load import Shown
from reports.page.markdown import to_html
from reports.page.picture import Picture
from reports.page.space_picture import space_picture
from reports.page.space_tables import Table, tables
from reports.page.throughput_picture import throughput_picture
from reports.run import RunRecord
from reports.severity import SENTENCES, Severity, severity, worst_first
from reports.stored import StoredFinding
from reports.summary import where

SEEN: Final = "seen"
NOT_MET: Final = "not met"
"""States of rows of the known-issues file, as `RunRecord.known` has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """A finding as the page shows it.

    Attributes:
        anchor: its id in the page.
        only: the one type of device that shows it where others were tried; empty if there are several.
        sentence: for what it fails.
        what: what happens with the minimal Case.
        pictures: where the numbers are wrong, or the shapes.
        sections: further parts of the text, by heading.
        replay: the command that runs it again.
    """

    finding: Finding
    anchor: str
    title: str
    only: str
    script: str
    sentence: Markup
    what: Markup
    pictures: tuple[Picture, ...]
    sections: dict[str, Markup]
    replay: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The findings of one severity."""

    severity: Severity
    sentence: str
    findings: tuple[FindingView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageView:
    """A run as the page shows it.

    Attributes:
        place: the hardware in a few words.
        rate: Cases per second.
        space, tables: what was explored, as a picture and as numbers.
        throughput: Cases over time; None if the run does not say.
        changes: since the run before; None if there was none.
        missed: the command that runs again what was not seen this time; empty if there is nothing.
        flaky, unconfirmed: entries of the run's list, those with a rate and the others.
    """

    record: RunRecord
    place: str
    rate: float
    groups: tuple[Group, ...]
    unread: tuple[str, ...]
    flaky: tuple[dict[str, str], ...]
    unconfirmed: tuple[dict[str, str], ...]
    space: Picture | None
    tables: tuple[Table, ...]
    throughput: Picture | None
    changes: Changes | None
    missed: str
    states: tuple[State, ...] = tuple(State)

    @property
    def findings(self) -> int:
        """How many findings are shown."""
        return sum(len(group.findings) for group in self.groups)

    @property
    def headline(self) -> str:
        """What the run came to, in a line."""
        release = f"on bitsandbytes {self.record.system.get('bitsandbytes', '?')}"
        seen = len([row for row in self.known_met if row["state"] == SEEN])
        if self.findings or not seen:
            return f"{counted(self.findings, 'finding', none='No')} {release}"
        return f"{counted(seen, 'known defect')} seen {release}, none new"

    @property
    def known_met(self) -> list[dict[str, Any]]:
        """The rows of the known-issues file of which a Case ran, those that were seen most often first."""
        return sorted((row for row in self.record.known if row["state"] != NOT_MET), key=lambda row: -row["cases"])

    @property
    def known_unmet(self) -> list[dict[str, Any]]:
        """The other rows that are in force for this release and device."""
        return [row for row in self.record.known if row["state"] == NOT_MET]

    @property
    def anchors(self) -> dict[str, str]:
        """Where in the page each finding is, by signature."""
        return {item.finding.signature: item.anchor for group in self.groups for item in group.findings}

    def state(self, finding: Finding) -> str:
        """Whether a finding is new since the run before; empty if that is not known."""
        every = self.changes.all if self.changes else ()
        return next((change.state.value for change in every if change.signature == finding.signature), "")


def view(shown: Shown) -> PageView:
    """The page of what was loaded."""
    record, changed = shown.record, changes(shown.record)
    return PageView(
        record=record,
        place=where({"device": "unknown device", **record.system}),
        rate=record.cases / record.seconds if record.seconds else 0.0,
        groups=tuple(_groups(shown)),
        unread=shown.unread,
        flaky=tuple(entry for entry in record.unconfirmed if "rate" in entry),
        unconfirmed=tuple(entry for entry in record.unconfirmed if "rate" not in entry),
        space=space_picture(record.space),
        tables=tuple(tables(record.space)),
        throughput=throughput_picture(record.throughput),
        changes=changed,
        missed=_replay(shown.root, [change.slug for change in changed.of(State.NOT_SEEN)] if changed else []),
    )


def _groups(shown: Shown) -> Iterator[Group]:
    ordered = sorted(shown.findings, key=lambda item: worst_first(item.finding))
    numbered = enumerate(ordered, start=1)
    for found, items in groupby(numbered, key=lambda item: severity(item[1].finding)):
        views = tuple(_finding(item, number, shown) for number, item in items)
        yield Group(severity=found, sentence=SENTENCES[found], findings=views)


def _finding(item: StoredFinding, number: int, shown: Shown) -> FindingView:
    finding = item.finding
    sections = {
        "What is affected": affected(finding).removeprefix(sentence(finding)).strip(),
        "Why this is wrong": expectation(finding),
        "Memory safety": memory_safety(finding),
        "Also observed": other_paths(finding),
        "Versions": system_info(finding),
    }
    return FindingView(
        finding=finding,
        anchor=f"finding-{number}",
        title=title(finding),
        only=only_on(finding),
        script=item.script or "",
        sentence=to_html(sentence(finding)),
        what=to_html(what_happens(finding).partition("\n")[2]),  # its first line is what the page has as a table
        pictures=tuple(pictures(finding)),
        sections={heading: to_html(text) for heading, text in sections.items() if text},
        replay=_replay(shown.root, [finding.slug]),
    )


def _replay(root: Path, slugs: Sequence[str]) -> str:
    """The command that runs findings again; empty if there are none."""
    folders = [str(root / "findings" / slug) for slug in slugs if slug]
    return shlex.join(["python", "-m", "fuzz", "replay", *folders]) if folders else ""
