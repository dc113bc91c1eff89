"""What else a defect affects: records that a finding carries beside its minimal Case.

Every `from_json` raises RecordError for what its `to_json` did not write, and CaseError for a Case that is none.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Self

from reports import schema
from strategies.case import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldExtent:
    """What other values of one field do, everything else as in the minimal Case.

    Attributes:
        name: a dotted name of `strategies.fields`, "activation.rows" among them.
        trigger: whether the failure needs this field.
        fails, passes: the values that were tried, as JSON has them.
        rule: for sizes that are triggers, what the failing ones have in common, such as "% 64 != 0".
    """

    name: str
    trigger: bool
    fails: tuple[Any, ...]
    passes: tuple[Any, ...]
    rule: str = ""

    def to_json(self) -> dict[str, Any]:
        """The record as JSON data."""
        return dataclasses.asdict(self) | {"fails": list(self.fails), "passes": list(self.passes)}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """The record that `to_json` wrote."""
        values = schema.array(schema.scalar)
        members = {"name": schema.text, "trigger": schema.flag, "fails": values, "passes": values}
        schema.check(data, "a field of the extent", members, {"rule": schema.text})
        return cls(**data | {"fails": tuple(data["fails"]), "passes": tuple(data["passes"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What a defect affects.

    Attributes:
        fields: one record for each field that was varied.
        paths: the other paths that fail alike, the minimal Case's own among them.
        linear4bit: whether users of `nn.Linear4bit` can reach it: "yes", or "no: " and why, or "not tried".
        complete: whether everything was tried before time was up.
    """

    fields: tuple[FieldExtent, ...] = ()
    paths: tuple[str, ...] = ()
    linear4bit: str = "not tried"
    complete: bool = False

    def to_json(self) -> dict[str, Any]:
        """The record as JSON data."""
        return {
            "fields": [item.to_json() for item in self.fields],
            "paths": list(self.paths),
            "linear4bit": self.linear4bit,
            "complete": self.complete,
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """The record that `to_json` wrote."""
        members = {"fields": schema.array(schema.json_object), "paths": schema.array(schema.text)}
        schema.check(data, "the extent", members, {"linear4bit": schema.text, "complete": schema.flag})
        records = tuple(FieldExtent.from_json(item) for item in data["fields"])
        return cls(**data | {"fields": records, "paths": tuple(data["paths"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Worst:
    """The Case of the run with the largest error, in units of the bound that it should have kept."""

    case: Case
    error_over_bound: float

    def to_json(self) -> dict[str, Any]:
        """The record as JSON data."""
        return {"case": self.case.to_json(), "error_over_bound": self.error_over_bound}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """The record that `to_json` wrote."""
        schema.check(data, "the worst Case", {"case": schema.json_object, "error_over_bound": schema.number})
        return cls(case=Case.from_json(data["case"]), error_over_bound=data["error_over_bound"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A machine on which the defect was seen, and in how many Cases."""

    system: dict[str, str] = field(default_factory=dict)
    observed: int = 1

    def to_json(self) -> dict[str, Any]:
        """The record as JSON data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """The record that `to_json` wrote."""
        schema.check(data, "a sighting", {}, {"system": schema.mapping(schema.text), "observed": schema.count})
        return cls(**data)
