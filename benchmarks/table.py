"""Tables of figures in Markdown, and what figures depend on."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping

from reports.summary import where


def header(*columns: str) -> str:
    """The first two lines of a table."""
    return f"{row(*columns)}\n{row(*['---'] * len(columns))}"


def row(*cells: object) -> str:
    """One line of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def conditions(system: Mapping[str, str]) -> str:
    """Versions, device, processors and date in one sentence.

    Args:
        system: as a run says it, in `run.json` for instance.
    """
    versions = f"bitsandbytes {system['bitsandbytes']}, torch {system['torch']}"
    return f"{versions}; {where(dict(system))}; {processors()} processors; {today()}."


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def today() -> str:
    """The date in UTC."""
    return dt.datetime.now(dt.UTC).date().isoformat()
