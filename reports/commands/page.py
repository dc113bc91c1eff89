"""Writes the page of a run. Exit status: 0 written, 2 could not."""

from __future__ import annotations

import argparse
from pathlib import Path

from reports.commands.console import say
from reports.run import ReportsError


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """The command line of `page`."""
    parser = commands.add_parser(
        "page",
        help="write the page of a run",
        description="Write index.html, the page of a run. Exit status: 0 written, 2 could not.",
    )
    parser.add_argument("root", type=Path, metavar="DIR", help="a reports directory")
    return parser


def run(options: argparse.Namespace) -> int:
    """Write the page, say where it is, and return the exit status."""
    from reports.page.write import write_page  # noqa: PLC0415 - the help does not need a plotting library

    try:
        page = write_page(options.root)
    except ReportsError as error:
        say(f"could not write the page: {error}", error=True)
        return 2
    say(str(page))
    return 0
