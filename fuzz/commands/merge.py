"""Makes one reports directory of several."""

from __future__ import annotations

import argparse


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command line of `merge`."""
    commands.add_parser("merge")
