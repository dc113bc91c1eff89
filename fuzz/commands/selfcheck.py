"""Lets the oracle find planted faults."""

from __future__ import annotations

import argparse


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command line of `selfcheck`."""
    commands.add_parser("selfcheck")
