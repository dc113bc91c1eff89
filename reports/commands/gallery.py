"""Writes a gallery of findings. Exit status: 0 written, 2 could not."""

from __future__ import annotations

import argparse
from pathlib import Path

from reports.commands.console import say
from reports.run import ReportsError


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """The command line of `gallery`."""
    parser = commands.add_parser(
        "gallery",
        help="write the findings of runs to folders that anybody can look through",
        description=(
            "Write the findings of runs to folders that are named after the releases: a table, and for each finding the issue text, "
            "the script, the Case and the plot. Exit status: 0 written, 2 could not."
        ),
    )
    parser.add_argument("roots", type=Path, nargs="+", metavar="DIR", help="a reports directory; of one release one, see `fuzz merge`")
    parser.add_argument("--into", type=Path, required=True, metavar="DIR", help="where the folders go")
    return parser


def run(options: argparse.Namespace) -> int:
    """Write the folders, say where they are, and return the exit status."""
    from reports.exhibits import write_exhibits  # noqa: PLC0415 - the help does not need a plotting library

    written: list[Path] = []
    for root in options.roots:
        try:
            written.append(write_exhibits(root, options.into))
        except ReportsError as error:
            say(f"could not write the gallery: {error}", error=True)
            return 2
        say(str(written[-1]))
    return 0
