"""The pictures of a finding: where its numbers are wrong, or how its shapes differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reports.errors import MINIMAL, WORST
from reports.finding import Finding
from reports.page.errors_picture import errors_picture
from reports.page.picture import Picture
from reports.page.shapes_picture import shapes_picture

_CASES: Final = {MINIMAL: "the minimal case", WORST: "the case with the largest error"}


def pictures(finding: Finding) -> Iterator[Picture]:
    """The pictures that there are; a grid that two Cases have alike is shown once."""
    shapes = shapes_picture(finding.expected, finding.got)
    if shapes is not None:
        yield shapes
    for name, case in _CASES.items():
        grid = finding.errors.get(name)
        if grid is None or (name == WORST and grid == finding.errors.get(MINIMAL)):
            continue
        heat_map = errors_picture(grid, case)
        if heat_map is not None:
            yield heat_map
