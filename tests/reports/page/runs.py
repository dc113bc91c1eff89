"""A run as the page is given it, without a directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reports.finding import Finding
from reports.page.load import Shown
from reports.stored import StoredFinding
from tests.reports.stored_runs import SCRIPT, record


def shown(findings: Sequence[Finding] = (), script: str = SCRIPT, unread: tuple[str, ...] = (), **changes: Any) -> Shown:
    """What was loaded of a run with these findings."""
    items = tuple(StoredFinding(item, script) for item in findings)
    listed = {"findings": [entry(item) for item in findings]}
    return Shown(root=Path("out"), record=record(**listed | changes), findings=items, unread=unread)


def entry(item: Finding) -> dict[str, Any]:
    """How a run lists a finding."""
    return {"signature": item.signature, "slug": item.slug, "cases": item.observed}
