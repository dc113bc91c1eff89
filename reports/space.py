"""How densely a run has explored sizes, dtypes and kernels, and how much of it failed: counts by bin, however long it was."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Self

from reports import schema
from reports.coverage import added

SIZES: Final = "sizes"
"""Bins are "i,j": out_features of i binary digits and in_features of j: none for 0, one for 1, two for 2 and 3, and so on."""
ROWS: Final = "rows"
"""Bins are "i": rows of i binary digits."""
DTYPES: Final = "dtypes"
"""Bins are dtypes of the activation."""
ARMS: Final = "arms"
"""Bins are the kernels that may have run. What is counted is verdicts: a Case is run on many paths."""

_DIGITS: Final = 3
"""No tensor has a dimension of 2**100."""

_COUNTS: Final = schema.mapping(schema.mapping(schema.count))


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Counts by one of the names above, and by bin.

    Attributes:
        cases: Cases that were run.
        failed: those of them that failed on some path, known defects included. Bins without a failure are not there.
    """

    cases: dict[str, dict[str, int]] = field(default_factory=dict)
    failed: dict[str, dict[str, int]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Any, place: str) -> Self:
        """The space in `run.json`.

        Raises:
            RecordError: something is missing or malformed; one sentence.
        """
        schema.check(data, place, {"cases": _COUNTS, "failed": _COUNTS})
        return cls(**data)

    def to_json(self) -> dict[str, Any]:
        """The space as JSON data."""
        return dataclasses.asdict(self)


def united(parts: Iterable[Space]) -> Space:
    """The space that several runs have explored."""
    total = Space()
    for part in parts:
        total = Space(cases=added(total.cases, part.cases), failed=added(total.failed, part.failed))
    return total


def smallest(digits: int) -> int:
    """The smallest size of so many binary digits."""
    return 2 ** (digits - 1) if digits else 0


def is_digits(part: str) -> bool:
    """Whether a part of a bin's name is a number of binary digits that a size can have."""
    return part.isascii() and part.isdecimal() and len(part) < _DIGITS
