"""What can be made of a reports directory after the run.

python -m reports page DIR                    write DIR/index.html, the page of the run in DIR
python -m reports file DIR --repo OWNER/NAME  file its findings as issues on GitHub; a dry run unless --send is given
python -m reports formats DIR --junit FILE    write JUnit XML, SARIF, a summary in Markdown, events, or annotations
python -m reports gallery DIR... --into DIR   write a folder for each release: issue texts, scripts, Cases and plots
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from reports.commands import file, formats, gallery, page

COMMANDS: Final = (page, file, formats, gallery)
"""Each has `add_parser(commands)`, which returns the parser, and `run(options)`, which returns the exit status."""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m reports", description="What can be made of a reports directory after the run.")
    commands = parser.add_subparsers(dest="command", required=True)
    for command in COMMANDS:
        command.add_parser(commands).set_defaults(run=command.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    options = build_parser().parse_args(arguments)
    return int(options.run(options))


if __name__ == "__main__":
    sys.exit(main())
