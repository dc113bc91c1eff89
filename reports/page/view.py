"""What the template is given: everything that is to be thought about is thought about here."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from reports.affected import affected, sentence
from reports.finding import Finding
from reports.issue import expectation, other_paths, title, what_happens
from reports.machines import system_info
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """A finding as the page shows it.

    Attributes:
        anchor: its id in the page.
        sentence: for what it fails.
        what: what happens with the minimal Case.
        sections: further parts of the text, by heading.
        replay: the command that runs it again.
    """

    finding: Finding
    anchor: str
    title: str
    script: str
    sentence: Markup
    what: Markup
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

    @property
    def findings(self) -> int:
        """How many findings are shown."""
        return sum(len(group.findings) for group in self.groups)


def view(shown: Shown) -> PageView:
    """The page of what was loaded."""
    record = shown.record
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
        "The same input on other paths": other_paths(finding),
        "Versions": system_info(finding),
    }
    return FindingView(
        finding=finding,
        anchor=f"finding-{number}",
        title=title(finding),
        script=item.script or "",
        sentence=to_html(sentence(finding)),
        what=to_html(what_happens(finding)),
        sections={heading: to_html(text) for heading, text in sections.items() if text},
        replay=shlex.join(["python", "-m", "fuzz", "replay", str(shown.root / "findings" / finding.slug)]),
    )
