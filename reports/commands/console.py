"""What commands share: lines on the terminal, and values of options."""

from __future__ import annotations

import argparse
import sys


def say(text: str, *, error: bool = False) -> None:
    """One line on standard output, or on standard error, at once."""
    stream = sys.stderr if error else sys.stdout
    stream.write(text + "\n")
    stream.flush()


def warn(text: str) -> None:
    """A warning on standard error."""
    say(f"warning: {text}", error=True)


def count(text: str) -> int:
    """A whole number; argparse shows what is wrong with another text."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)
