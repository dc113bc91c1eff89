"""What NVIDIA's compute-sanitizer said of a finding's script: records that the finding carries."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final, Self

from reports import schema


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedError:
    """One kind of error in one kernel.

    Attributes:
        kind: in the tool's words, without addresses.
        kernel: with its template arguments; empty if the tool names none.
        count: how often it was printed. A tool prints a few and counts on: `SanitizerReport.errors` has all.
    """

    kind: str
    kernel: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SanitizerReport:
    """What one tool of compute-sanitizer reported.

    Attributes:
        tool: "memcheck", "racecheck" or "initcheck".
        errors: how many, by the tool's own count; failed calls of the CUDA API are not among them.
        warnings: races that racecheck calls no error; 0 for the other tools.
        reported: what was printed of them, each kind once, in the order of the tool.
        failed: whether the script ended with an error status under the tool, as it does while the defect is there.
        complete: whether the tool came to its end; if not, because time was up or it died, `errors` are those that it had printed by then.
    """

    tool: str
    errors: int
    warnings: int = 0
    reported: tuple[ReportedError, ...] = ()
    failed: bool = True
    complete: bool = True

    def to_json(self) -> dict[str, Any]:
        """The report as JSON data."""
        return dataclasses.asdict(self) | {"reported": [dataclasses.asdict(error) for error in self.reported]}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """The report that `to_json` wrote.

        Raises:
            RecordError: something is missing or malformed; one sentence.
        """
        schema.check(data, "a report of the sanitizer", _MEMBERS)
        return cls(**data | {"reported": tuple(ReportedError(**error) for error in data["reported"])})


def _error(value: Any, place: str) -> None:
    schema.check(value, place, {"kind": schema.text, "kernel": schema.text, "count": schema.count})


_MEMBERS: Final[dict[str, schema.Check]] = {
    "tool": schema.text,
    **dict.fromkeys(("errors", "warnings"), schema.count),
    "reported": schema.array(_error),
    **dict.fromkeys(("failed", "complete"), schema.flag),
}
