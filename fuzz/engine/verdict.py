"""What can be said about one Case on one path, as plain data that crosses the pipe."""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from typing import Any, Final

from fuzz.oracle.model import ErrorModel
from reports.errors import ErrorGrid


class Symptom(enum.Enum):
    """How a path went wrong."""

    WRONG_SHAPE = "wrong shape"
    WRONG_DTYPE = "wrong dtype"
    WRONG_VALUE = "wrong value"
    UNEXPECTED_EXCEPTION = "unexpected exception"
    MISSING_ERROR = "missing error"
    CONTEXT_LOST = "context lost"
    PROCESS_DIED = "process died"
    HANG = "hang"
    RANGE_DIVERGENCE = "range divergence"  # a 16-bit intermediate left its range; the result would not have
    OUT_OF_BOUNDS = "written out of bounds"
    INPUT_CHANGED = "input changed"
    BROKEN_RELATION = "broken relation"  # two results that must be equal, bit for bit, are not


ENDING: Final = frozenset({Symptom.PROCESS_DIED, Symptom.HANG, Symptom.CONTEXT_LOST})
"""Symptoms after which the child is gone."""


TOO_SHORT: Final = "packed weight too short"
"""What `how` says where `quantize_4bit` made too little room for its codes."""

OVERFLOWED: Final = "overflow"
UNDERFLOWED: Final = "underflow"
"""How an intermediate result leaves its range."""

CAPTURE_FAILED: Final = "capture failed"
"""What `how` says of a verdict without a symptom whose call could not be captured as a CUDA graph."""


class Grade(enum.Enum):
    """How sure it is that a number is wrong."""

    DEFINITE = "definitely wrong"  # beyond what any rounding of this arithmetic can explain
    DRIFT = "arithmetic drift"  # beyond the interval of the kernel's own roundings, as calibrated on this device
    BITS = "other bits"  # not the bit pattern that this kernel's own order of sums gives, as calibrated


class Ruling(enum.Enum):
    """What upstream's documents say about a Case on a surface."""

    VALID = "valid"  # must return the right shape, dtype and numbers
    INVALID = "invalid"  # must raise a Python exception
    UNSPECIFIED = "unspecified"  # may raise; what it returns must be right


@dataclass(frozen=True, slots=True, kw_only=True)
class PathVerdict:
    """The judgement of one path. `symptom` None means that nothing is wrong.

    `how` tells apart what shares a symptom and is stable between runs: an exception's type, an exit status, a signal.
    `expected` and `got` are for people and may contain measured values. `arms` are the kernels that may have run by
    upstream's dispatch rule, `kernels` the names of those that a profiler saw. `errors` says where numbers are wrong.
    `model` is the bound that numbers were judged by; `error_over_bound` is not measured where they are the expected bits.
    """

    path: str
    surface: str
    ruling: Ruling
    source: str
    symptom: Symptom | None = None
    how: str = ""
    expected: str = ""
    got: str = ""
    grade: Grade | None = None
    error_over_bound: float | None = None
    arms: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ()
    model: ErrorModel | None = None
    errors: ErrorGrid | None = None

    @property
    def ends_child(self) -> bool:
        """Whether the process is not to be used again. After a capture that failed its context is alive, but torch may not free memory."""
        return self.symptom is Symptom.CONTEXT_LOST or self.how == CAPTURE_FAILED

    def to_json(self) -> dict[str, Any]:
        """The verdict as JSON data."""
        # By hand: dataclasses.asdict copies everything, which takes longer than all the rest of a call's bookkeeping.
        data = {name: getattr(self, name) for name in _NAMES}
        data["model"] = None if self.model is None else dataclasses.asdict(self.model)
        data["errors"] = None if self.errors is None else self.errors.to_json()
        data["ruling"] = self.ruling.value
        data["symptom"] = self.symptom.value if self.symptom else None
        data["grade"] = self.grade.value if self.grade else None
        data["arms"], data["kernels"] = list(self.arms), list(self.kernels)
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PathVerdict:
        """The verdict that `to_json` wrote."""
        symptom, grade, model, errors = data["symptom"], data["grade"], data["model"], data["errors"]
        return cls(
            **{
                **data,
                "ruling": Ruling(data["ruling"]),
                "symptom": Symptom(symptom) if symptom else None,
                "grade": Grade(grade) if grade else None,
                "arms": tuple(data["arms"]),
                "kernels": tuple(data["kernels"]),
                "model": ErrorModel(**model) if model else None,
                "errors": ErrorGrid.from_json(errors) if errors else None,
            }
        )


_NAMES: Final = tuple(item.name for item in dataclasses.fields(PathVerdict))


@dataclass(frozen=True, slots=True)
class FailureKey:
    """What makes two failing verdicts the same kind of failure. No measured value, shape or seed."""

    surface: str
    path: str
    symptom: Symptom
    how: str

    @classmethod
    def of(cls, verdict: PathVerdict) -> FailureKey:
        """The key of a failing verdict.

        Raises:
            ValueError: the verdict has no symptom.
        """
        if verdict.symptom is None:
            raise ValueError(f"{verdict.path} did not fail")
        return cls(verdict.surface, verdict.path, verdict.symptom, told_apart_by(verdict.symptom.value, verdict.how))


def told_apart_by(symptom: str, how: str) -> str:
    """What of `how` tells defects apart: not the signal that a stray access happens to end in, nor how far off numbers are."""
    varies = symptom == Symptom.PROCESS_DIED.value or how in {grade.value for grade in Grade}
    return "" if varies else how


class Outcome(enum.Enum):
    """What a Case says about a failure that is looked for."""

    FAILS = "fails"
    PASSES = "passes"
    OTHERWISE = "otherwise"  # the path fails in another way
    MASKED = "masked"  # what may be seen is a failure that is known, or what this one does elsewhere
    NOT_RUN = "not run"  # the path does not take this Case
    BLOCKED = "blocked"  # what comes before the path failed


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The verdicts of all paths that ran a Case, in order."""

    verdicts: tuple[PathVerdict, ...]

    @property
    def failures(self) -> tuple[PathVerdict, ...]:
        """The verdicts with a symptom."""
        return tuple(verdict for verdict in self.verdicts if verdict.symptom)

    def failure(self, key: FailureKey) -> PathVerdict | None:
        """The failing verdict with this key, if there is one."""
        return next((verdict for verdict in self.failures if FailureKey.of(verdict) == key), None)

    def ran(self, key: FailureKey) -> bool:
        """Whether the key's path has a verdict."""
        return any(verdict.path == key.path for verdict in self.verdicts)

    def outcome(self, key: FailureKey) -> Outcome:
        """What this result says about the failure `key`."""
        if self.failure(key) is not None:
            return Outcome.FAILS
        verdicts = [verdict for verdict in self.verdicts if verdict.path == key.path]
        if not verdicts:
            return Outcome.BLOCKED if self.failures else Outcome.NOT_RUN
        return Outcome.OTHERWISE if any(verdict.symptom for verdict in verdicts) else Outcome.PASSES
