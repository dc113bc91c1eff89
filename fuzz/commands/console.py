"""What commands share: lines on the terminal, and values of options."""

from __future__ import annotations

import argparse
import sys

from fuzz.campaign.budget import parse_duration


def say(text: str, *, error: bool = False) -> None:
    """One line on standard output, or on standard error, at once."""
    stream = sys.stderr if error else sys.stdout
    stream.write(text + "\n")
    stream.flush()


def duration(text: str) -> float:
    """Seconds from "30s", "10m", "2h"; argparse shows what is wrong with another text."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def positive(text: str) -> int:
    """A whole number above 0; argparse shows what is wrong with another text."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)
