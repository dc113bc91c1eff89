"""Keeps what a nightly job knows: the project's known issues and corpus, and what earlier nights have found.

Exit status: 0 written, 2 could not.
"""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fuzz.campaign.corpus import CorpusError
from fuzz.campaign.corpus import load as load_corpus
from fuzz.commands.console import positive, say
from fuzz.triage.known import KnownIssuesError, load
from fuzz.triage.remembered import Remembered, in_force, read, rows_of, text_of
from reports.files import write_json, write_text
from reports.finding import Finding
from reports.merge import united
from reports.run import ReportsError
from reports.stored import read_run

PROJECT: Final = Path(__file__).resolve().parents[2]

DAYS: Final = 30
"""Days that a finding is known for. Then it is found, and said, once more: nothing is muted for good by a program."""

OWN: Final = "found-"
"""Cases in the corpus that are not the project's."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command line of `remember`."""
    parser = commands.add_parser(
        "remember",
        help="keep what a nightly job knows",
        description="Write known_issues.toml and corpus/ for the next run: the project's, and the findings of earlier runs. "
        "Exit status: 0 written, 2 could not.",
    )
    parser.add_argument("state", type=Path, metavar="STATE", help="the folder that is kept from night to night")
    parser.add_argument("reports", nargs="*", type=Path, metavar="DIR", help="reports directories whose findings are known from now on")
    parser.add_argument(
        "--days", type=positive, default=DAYS, metavar="N", help="days until a finding is found again (default: %(default)s)"
    )
    parser.set_defaults(run=lambda options: remember(options.state, options.reports, options.days))


def remember(state: Path, reports: Sequence[Path], days: int, today: dt.date | None = None) -> int:
    """Bring the folder `state` up to date, say what is new in it, and return the exit status."""
    day = today or dt.datetime.now(tz=dt.UTC).date()
    try:
        before = in_force(read(state / "found.toml"), day)
        findings = _findings(reports)
        rows = _with(before, findings, day + dt.timedelta(days=days))
        _write(state, rows, findings)
        known, corpus = load(state / "known_issues.toml"), load_corpus(state / "corpus")
    except (ReportsError, KnownIssuesError, CorpusError) as error:
        say(f"could not remember: {error}", error=True)
        return 2
    except OSError as error:
        say(f"could not remember: cannot write {error.filename or state}: {error.strerror}", error=True)
        return 2
    for row in rows[len(before) :]:
        say(f"remembered until {row.expires}: {row.signature}  [{row.versions}, {row.device}]")
    say(f"{state} has {len(known)} known issues, {len(rows)} of them from earlier runs, and {len(corpus)} Cases")
    return 0


def _findings(reports: Sequence[Path]) -> list[Finding]:
    """What can be remembered of the findings in `reports`; the rest is said."""
    if not reports:
        return []
    merged = united([read_run(root, lambda text: say(f"warning: {text}", error=True)) for root in reports])
    verified = [item.finding for item in merged.findings if item.finding.verified and item.finding.minimal]
    for finding in verified:
        if not finding.triggers:
            say(f"not remembered, since it has no triggers and would mute its path: {finding.signature}")
    return [finding for finding in verified if finding.triggers]


def _with(before: Sequence[Remembered], findings: Sequence[Finding], expires: dt.date) -> list[Remembered]:
    """The rows, and new ones at their end for findings that they do not name."""
    rows = {row.key: row for row in before}
    for finding in findings:
        for row in rows_of(finding, f"corpus/{_file(finding)}", expires):
            rows.setdefault(row.key, row)
    return list(rows.values())


def _file(finding: Finding) -> str:
    return f"{OWN}{finding.slug}.json"


def _write(state: Path, rows: Sequence[Remembered], findings: Sequence[Finding]) -> None:
    """Write the Cases before the rows that name them, so that a state that was cut short can be used."""
    project = {path.name: path.read_text(encoding="utf-8") for path in (PROJECT / "fuzz" / "corpus").glob("*.json")}
    for name, text in project.items():
        write_text(state / "corpus" / name, text)
    for finding in findings:
        write_json(state / "corpus" / _file(finding), finding.case.to_json())
    theirs = (PROJECT / "fuzz" / "known_issues.toml").read_text(encoding="utf-8")
    write_text(state / "found.toml", text_of(rows))
    write_text(state / "known_issues.toml", "\n".join(filter(None, (theirs, text_of(rows)))))
    needed = {Path(row.case).name for row in rows} | set(project)
    for path in (state / "corpus").glob("*.json"):
        if path.name not in needed:
            path.unlink()
