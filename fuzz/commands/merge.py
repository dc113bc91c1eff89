"""Makes one reports directory of several, as machines or days left them. Exit status: 0 merged, 2 could not."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from fuzz.commands.console import say
from reports.counted import counted
from reports.merge import Merged
from reports.merge import merge as merge_reports
from reports.only_on import only_on
from reports.page.at_end import page_line
from reports.run import ReportsError
from reports.text import one_line


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command line of `merge`."""
    parser = commands.add_parser(
        "merge",
        help="make one reports directory of several",
        description="Make one reports directory of several, with its page. Exit status: 0 merged, 2 could not.",
    )
    parser.add_argument("roots", nargs="+", type=Path, metavar="DIR", help="reports directories, also of runs that were killed")
    parser.add_argument("--into", type=Path, required=True, metavar="DIR", help="where the result goes; may be one of them")
    parser.set_defaults(run=lambda options: merge(options.roots, options.into))


def merge(roots: Sequence[Path], into: Path) -> int:
    """Merge the reports directories `roots`, say what is in the result and where its page is, and return the exit status."""
    return 2 if merged(roots, into) is None else 0


def merged(roots: Sequence[Path], into: Path) -> Merged | None:
    """The same for other commands; returns what was merged, None if that was said to be impossible."""
    try:
        result = merge_reports(roots, into, lambda text: say(f"warning: {text}", error=True))
    except ReportsError as error:
        say(f"could not merge: {error}", error=True)
        return None
    except OSError as error:
        say(f"could not merge: cannot write {error.filename or into}: {error.strerror}", error=True)
        return None
    _print(result, len({root.resolve() for root in roots}), into)
    say(page_line(into))
    return result


def _print(merged: Merged, runs: int, into: Path) -> None:
    for item in merged.findings:
        finding = item.finding
        state = "finding" if finding.verified else "not verified"
        only = f", {one_line(device)} only" if (device := only_on(finding)) else ""
        say(f"{state}: {finding.signature}  [{counted(finding.observed, 'case')} on {counted(len(finding.sightings), 'system')}{only}]")
    record = merged.record
    verified = sum(item.finding.verified for item in merged.findings)
    numbers = f"{counted(verified, 'finding')}, {len(record.unconfirmed)} unconfirmed, {counted(record.cases, 'case')}"
    say(f"{counted(runs, 'directory', 'directories')} merged into {into}: {numbers}")
