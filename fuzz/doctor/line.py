"""One line of the examination."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

GPU: Final = "GPU"
"""The subject of the line that says whether there is one."""


class Mark(enum.Enum):
    """How it is."""

    OK = "ok"
    NO = "no"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Line:
    """What was looked at and how it is.

    Attributes:
        stops: whether a run makes no sense because of it.
    """

    mark: Mark
    subject: str
    text: str
    stops: bool = False


def ok(subject: str, text: str) -> Line:
    """It is there and in order."""
    return Line(Mark.OK, subject, text)


def no(subject: str, text: str, *, stops: bool = False) -> Line:
    """It is not there, or cannot be used."""
    return Line(Mark.NO, subject, text, stops)


def warn(subject: str, text: str) -> Line:
    """It is there, and something about it should be known."""
    return Line(Mark.WARN, subject, text)
