"""What is kept of the run before, which the next one into the same directory overwrites."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

from reports import schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """The run before.

    Attributes:
        date: when it was written last, as in `RunRecord`.
        system: its versions and hardware.
        findings: its findings, as in `RunRecord`.
    """

    date: str
    system: dict[str, str] = field(default_factory=dict)
    findings: list[dict[str, Any]] = field(default_factory=list)

    @property
    def signatures(self) -> frozenset[str]:
        """What it found."""
        return frozenset(entry["signature"] for entry in self.findings)

    @classmethod
    def from_json(cls, data: Any, place: str) -> Self:
        """The record in `run.json`.

        Raises:
            RecordError: something is missing or malformed; one sentence.
        """
        entries = schema.array(schema.entry({"signature": schema.text}))
        schema.check(data, place, {"date": schema.text, "system": schema.mapping(schema.text), "findings": entries})
        return cls(**data)
