"""The record of a finding on disk: `finding.json`, versioned."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from reports import schema
from reports.errors import ErrorGrid
from reports.extent import Extent, Sighting, Worst
from reports.sanitizer import SanitizerReport
from reports.schema import RecordError
from strategies.case import NON_FINITE, Case
from strategies.fields import FILLS

__all__ = ["FORMAT_VERSION", "Finding", "RecordError", "ScriptRun", "read_json", "signature"]

FORMAT_VERSION: Final = 2
"""Version of `finding.json`. It changes when an old file would lack something or be read with another meaning. Members that
came later have defaults, so that a file without them can be read, and a program that does not know them leaves them out."""
RULINGS: Final = ("valid", "invalid", "unspecified")
_SLUG_LENGTH: Final = 70
_VARIABLE: Final = frozenset({"arithmetic drift", "other bits"})
"""How far off numbers are depends on the numbers, so these do not tell defects apart."""
_NON_FINITE: Final = frozenset(fill.value for fill in NON_FINITE)
_VARIABLE_ENDINGS: Final = frozenset({"process died"})
"""Symptoms whose `how` depends on what lies in memory: the same stray access may be one signal or another."""

ALLOCATED: Final = "beside its own allocations"
"""Where a call writes out of bounds that allocates the memory itself."""

LEFT_ERROR: Final = "CUDA error left for the next call"
"""How an exception is unexpected that an unrelated call raises: for what the one before it did, and did not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRun:
    """One execution of `repro.py` in a fresh process. `exit_status` None: it did not end in time."""

    exit_status: int | None
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A reduced, verified failure.

    Attributes:
        surface, path, symptom, how: what failed and how; stable between runs.
        ruling, source: "valid", "invalid" or "unspecified", and the document that says so.
        case: the minimal Case. `first_case` is the one that was seen first.
        triggers: the fields that the failure needs, each with its value in the minimal Case; of a size the words that
            say which sizes fail, such as "odd".
        expected, got: for people, from the minimal Case.
        grade: how sure it is that a number is wrong, see `fuzz.engine.verdict.Grade`; empty for other symptoms.
        arms, kernels: the kernels that may have run by upstream's dispatch rule, and the names that a profiler saw.
        model: coefficients of the bound, see `fuzz.oracle.model.ErrorModel`; None unless values are wrong.
        reproduced, attempts: in how many of how many fresh processes the minimal Case failed.
        observed: how many Cases of the run failed like this.
        trials: how many Cases the reduction ran; `minimal` tells whether it ended before its time was up.
        others: what the other paths did with the minimal Case, by name.
        script: the execution of `repro.py`.
        known: link or "unreported" if it is a known issue.
        extent: what else fails: other values of each field, other paths, `nn.Linear4bit`.
        worst: the Case with the largest error over bound that the run saw of this defect.
        provoked: for what failed in some processes only, how often it did under conditions that provoke races, by name.
        sightings: where it was seen; several after runs were merged.
        errors: where in the output numbers are wrong, of the minimal Case and of the worst one, by the names in `reports.errors`.
        not_seen_on: hardware on which runs judged the path on a release that has the defect, and did not see it: number of verdicts
            by name; filled by a merge.
        sanitizer: what each tool of compute-sanitizer that `python -m fuzz confirm` ran reported of the script.
    """

    surface: str
    path: str
    symptom: str
    how: str
    ruling: str
    source: str
    case: Case
    first_case: Case
    triggers: dict[str, Any]
    expected: str
    got: str
    error_over_bound: float | None
    arms: tuple[str, ...]
    model: dict[str, float] | None
    reproduced: int
    attempts: int
    observed: int
    trials: int
    minimal: bool
    others: dict[str, str]
    system: dict[str, str]
    script: ScriptRun | None = None
    known: str | None = None
    grade: str = ""
    kernels: tuple[str, ...] = ()
    extent: Extent | None = None
    worst: Worst | None = None
    provoked: dict[str, str] = field(default_factory=dict)
    sightings: tuple[Sighting, ...] = ()
    errors: dict[str, ErrorGrid] = field(default_factory=dict)
    sanitizer: tuple[SanitizerReport, ...] = ()
    not_seen_on: dict[str, int] = field(default_factory=dict)
    signature: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "signature", signature(self.surface, self.path, self.symptom, self.how, self.triggers))

    @property
    def slug(self) -> str:
        """Name of the finding's folder: readable, unique and the same in every run."""
        words = re.sub(r"[^a-z0-9]+", "-", f"{self.path} {self.symptom} {self.how} {' '.join(self.triggers)}".lower())
        digest = hashlib.sha256(self.signature.encode(errors="replace")).hexdigest()[:8]
        return f"{words.strip('-')[:_SLUG_LENGTH].strip('-')}-{digest}"

    @property
    def verified(self) -> bool:
        """Failed in every fresh process, and so did its script alone."""
        return self.reproduced == self.attempts > 0 and self.script is not None and self.script.exit_status == 1

    @property
    def flaky(self) -> bool:
        """Failed in fresh processes, but not in all of them."""
        return 0 < self.reproduced < self.attempts

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON data."""
        data = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        data |= {
            "case": self.case.to_json(),
            "first_case": self.first_case.to_json(),
            "arms": list(self.arms),
            "kernels": list(self.kernels),
            "extent": None if self.extent is None else self.extent.to_json(),
            "worst": None if self.worst is None else self.worst.to_json(),
            "sightings": [sighting.to_json() for sighting in self.sightings],
            "errors": {name: grid.to_json() for name, grid in self.errors.items()},
            "sanitizer": [report.to_json() for report in self.sanitizer],
        }
        data["script"] = None if self.script is None else dataclasses.asdict(self.script)
        return {"format_version": FORMAT_VERSION, "slug": self.slug, "verified": self.verified, **data}

    @classmethod
    def from_json(cls, data: object) -> Self:
        """The finding that `to_json` wrote.

        Raises:
            RecordError: another format version, or something missing or malformed; one sentence.
            CaseError: one of its Cases is not one.
        """
        if not isinstance(data, dict) or data.get("format_version") != FORMAT_VERSION:
            version = data.get("format_version") if isinstance(data, dict) else None
            raise RecordError(f"finding format_version is {version!r}, this program reads {FORMAT_VERSION}")
        values = {name: value for name, value in data.items() if name in _MEMBERS | _LATER}  # a later program may add others
        schema.check(values, "the finding", _MEMBERS, _LATER)
        extent, worst, script = values["extent"], values["worst"], values["script"]
        values |= {
            "case": Case.from_json(values["case"]),
            "first_case": Case.from_json(values["first_case"]),
            "arms": tuple(values["arms"]),
            "kernels": tuple(values["kernels"]),
            "script": None if script is None else ScriptRun(**script),
            "extent": None if extent is None else Extent.from_json(extent),
            "worst": None if worst is None else Worst.from_json(worst),
            "sightings": tuple(Sighting.from_json(sighting) for sighting in values["sightings"]),
            "errors": {
                name: ErrorGrid.from_json(grid, f"{name!r} of 'errors' of the finding") for name, grid in values.get("errors", {}).items()
            },
            "sanitizer": tuple(SanitizerReport.from_json(report) for report in values.get("sanitizer", [])),
        }
        return cls(**values)


def _script(value: Any, place: str) -> None:
    schema.check(value, place, {"exit_status": schema.nothing_or(schema.integer), "output": schema.text})


_MEMBERS: Final[dict[str, schema.Check]] = {
    **dict.fromkeys(("surface", "path", "symptom", "how", "source", "expected", "got", "grade"), schema.text),
    "ruling": schema.one_of(RULINGS),
    **dict.fromkeys(("case", "first_case"), schema.json_object),
    "triggers": schema.mapping(schema.scalar),
    "error_over_bound": schema.nothing_or(schema.number),
    **dict.fromkeys(("arms", "kernels"), schema.array(schema.text)),
    "model": schema.nothing_or(schema.mapping(schema.number)),
    **dict.fromkeys(("reproduced", "attempts", "observed", "trials"), schema.count),
    "minimal": schema.flag,
    **dict.fromkeys(("others", "system", "provoked"), schema.mapping(schema.text)),
    "script": schema.nothing_or(_script),
    "known": schema.nothing_or(schema.text),
    **dict.fromkeys(("extent", "worst"), schema.nothing_or(schema.json_object)),
    "sightings": schema.array(schema.json_object),
}
"""What is in the file, by the names of the attributes."""

_LATER: Final[dict[str, schema.Check]] = {
    "errors": schema.mapping(schema.json_object),
    "sanitizer": schema.array(schema.json_object),
    "not_seen_on": schema.mapping(schema.count),
}
"""What older files of this format lack."""


def signature(surface: str, path: str, symptom: str, how: str, triggers: dict[str, Any]) -> str:
    """What makes two findings the same one: no measured value, shape or seed.

    Of fills it only says that dull ones do not do: which one does, and in which tensor, depends on the sizes.
    """
    fields = ", ".join(sorted({_trigger(name, value) for name, value in triggers.items()})) or "none"
    told_apart = f" ({how})" if how and symptom not in _VARIABLE_ENDINGS and how not in _VARIABLE else ""
    return f"{surface} | {path} | {symptom}{told_apart} | triggers: {fields}"


def _trigger(name: str, value: Any) -> str:
    if name in (*FILLS, "fill"):
        return f"{name}={value}" if value in _NON_FINITE else "fill!=ones"
    return f"{name}={value}"


def read_json(path: Path) -> Any:
    """The JSON in `path`.

    Raises:
        RecordError: there is no such file, or it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise RecordError(f"{path} is not JSON: {error}") from None
