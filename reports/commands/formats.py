"""Writes what a run came to in formats that CI systems read. Exit status: 0 written, 2 could not."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from reports.commands.console import say, warn
from reports.events import read_events
from reports.files import write_text
from reports.formats.junit import junit
from reports.formats.sarif import sarif
from reports.formats.step_summary import step_summary
from reports.formats.workflow import workflow_commands
from reports.outcomes import Outcomes
from reports.run import ReportsError
from reports.stored import read_run

Job = tuple[Path, Callable[[], str]]
"""A file to be written, and what makes its text."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """The command line of `formats`."""
    parser = commands.add_parser(
        "formats",
        help="write JUnit XML, SARIF, a summary in Markdown, events, or annotations",
        description="Write what a run came to in formats that CI systems read. Exit status: 0 written, 2 could not.",
    )
    parser.add_argument("root", type=Path, metavar="DIR", help="a reports directory, also of a run that was killed")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="JUnit XML: one test case for each defect")
    parser.add_argument("--sarif", type=Path, metavar="FILE", help="SARIF 2.1.0")
    parser.add_argument("--summary", type=Path, metavar="FILE", help="Markdown for a job's page")
    parser.add_argument("--events", type=Path, metavar="FILE", help="the run's events, a line of JSON each")
    parser.add_argument("--annotations", action="store_true", help="print workflow commands of GitHub Actions")
    return parser


def run(options: argparse.Namespace) -> int:
    """Write the formats that are asked for, and return the exit status."""
    if not (options.annotations or any((options.junit, options.sarif, options.summary, options.events))):
        say("nothing to write: name at least one of --junit, --sarif, --summary, --events and --annotations", error=True)
        return 2
    try:
        outcomes = Outcomes.of_stored(read_run(options.root, warn))
    except ReportsError as error:
        say(f"could not write: {error}", error=True)
        return 2
    written = [_written(file, text) for file, text in _jobs(options, outcomes)]
    for line in workflow_commands(outcomes) if options.annotations else ():
        say(line)
    return 0 if all(written) else 2


def _jobs(options: argparse.Namespace, outcomes: Outcomes) -> Iterator[Job]:
    for file, make in ((options.junit, junit), (options.sarif, sarif), (options.summary, step_summary)):
        if file is not None:
            yield file, partial(make, outcomes)
    if options.events is not None:
        yield options.events, lambda: "".join(f"{line}\n" for line in read_events(options.root))


def _written(file: Path, make: Callable[[], str]) -> bool:
    """Write one file; says so if it cannot, and the others are written all the same."""
    try:
        write_text(file, make())
    except (OSError, ReportsError) as error:
        say(f"could not write {file}: {error.strerror if isinstance(error, OSError) else error}", error=True)
        return False
    return True
