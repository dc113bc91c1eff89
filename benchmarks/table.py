"""Tables of figures in Markdown, and what figures depend on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from fuzz.doctor.machine import cores
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
    return f"{versions}; {where(dict(system))}; {cores()} processors; {today()}."


def today() -> str:
    """The date in UTC."""
    return dt.datetime.now(dt.UTC).date().isoformat()
