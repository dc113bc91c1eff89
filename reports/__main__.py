"""Commands on reports that are there already.

python -m reports page DIR   write DIR/index.html, the page of the run in DIR
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from reports.run import ReportsError


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m reports", description="Commands on reports that are there already.")
    commands = parser.add_subparsers(dest="command", required=True)
    page = commands.add_parser(
        "page",
        help="write the page of a run",
        description="Write index.html, the page of a run. Exit status: 0 written, 2 could not.",
    )
    page.add_argument("root", type=Path, metavar="DIR", help="a reports directory")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    from reports.page.write import write_page  # noqa: PLC0415 - the help does not need a plotting library

    options = build_parser().parse_args(arguments)
    try:
        page = write_page(options.root)
    except ReportsError as error:
        sys.stderr.write(f"could not write the page: {error}\n")
        return 2
    sys.stdout.write(f"{page}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
