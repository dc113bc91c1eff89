"""What can be said about one Case on one path, as plain data that crosses the pipe."""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from typing import Any


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


class Ruling(enum.Enum):
    """What upstream's documents say about a Case on a surface."""

    VALID = "valid"  # must return the right shape, dtype and numbers
    INVALID = "invalid"  # must raise a Python exception
    UNSPECIFIED = "unspecified"  # may raise; what it returns must be right


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorModel:
    """A bound on the error of one output, linear in what the reference computes beside it.

    For an output `y = sum(x * w) + bias` with `w = c * s` (code times scale):

        E = product * sum|x||w| + code * sum|x||c| + activation * sum|x| + constant

    before the output is rounded. `late_rounding` and `late_underflow` are for roundings of the finished sum other
    than the last one (a bias added to a rounded product): they add `late_rounding * (|y| + E) + late_underflow`.
    All are dimensionless except `code` (units of s), `activation` (units of w) and `constant` (units of y).
    """

    product: float = 0.0
    code: float = 0.0
    activation: float = 0.0
    constant: float = 0.0
    late_rounding: float = 0.0
    late_underflow: float = 0.0

    def union(self, other: ErrorModel) -> ErrorModel:
        """The smallest model that is no tighter than either: for an arm that is not known."""
        pairs = ((getattr(self, item.name), getattr(other, item.name)) for item in dataclasses.fields(self))
        return ErrorModel(**dict(zip((item.name for item in dataclasses.fields(self)), map(max, pairs), strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PathVerdict:
    """The judgement of one path. `symptom` None means that nothing is wrong.

    `how` tells apart what shares a symptom and is stable between runs: an exception's type, an exit status, a signal.
    `expected` and `got` are for people and may contain measured values.
    """

    path: str
    surface: str
    ruling: Ruling
    source: str
    symptom: Symptom | None = None
    how: str = ""
    expected: str = ""
    got: str = ""
    error_over_bound: float | None = None
    arms: tuple[str, ...] = ()
    model: ErrorModel | None = None

    def to_json(self) -> dict[str, Any]:
        """The verdict as JSON data."""
        data = dataclasses.asdict(self)
        data["ruling"] = self.ruling.value
        data["symptom"] = self.symptom.value if self.symptom else None
        data["arms"] = list(self.arms)
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PathVerdict:
        """The verdict that `to_json` wrote."""
        symptom, model = data["symptom"], data["model"]
        return cls(
            **{
                **data,
                "ruling": Ruling(data["ruling"]),
                "symptom": Symptom(symptom) if symptom else None,
                "arms": tuple(data["arms"]),
                "model": ErrorModel(**model) if model else None,
            }
        )


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
        return cls(verdict.surface, verdict.path, verdict.symptom, verdict.how)


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
