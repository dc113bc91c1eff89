"""The page at the end of a run, which has its results already: whatever goes wrong here costs the page and nothing else."""

from __future__ import annotations

import warnings
from pathlib import Path

from reports.text import one_line


def page_line(root: Path) -> str:
    """Write the page of the run in `root`, and say in one line where it is or why there is none."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of libraries, about themselves
            from reports.page.write import write_page  # noqa: PLC0415 - a run that is only collected needs none of it

            return f"page: {write_page(root)}"
    except Exception as error:  # noqa: BLE001 - whatever it is
        return f"warning: there is no page of this run, its results are written: {one_line(str(error)) or type(error).__name__}"
