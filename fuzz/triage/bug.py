"""A defect as the run knows it: what it needs, where it shows, and what it explains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from fuzz.engine.verdict import FailureKey, PathVerdict, Symptom
from fuzz.triage.condition import Condition
from fuzz.triage.kernels import InKernels
from fuzz.triage.kinds import may_follow
from fuzz.triage.known import KnownIssue
from fuzz.triage.verify import QUANTIZE, QUANTIZE_SURFACE
from reports.errors import ErrorGrid
from reports.finding import signature
from strategies.case import Case

PASSED_ON: Final = frozenset({Symptom.WRONG_VALUE})
"""What is wrong with a quantization and does not keep the paths behind it from running."""

NUMERIC: Final = frozenset({Symptom.WRONG_VALUE, Symptom.RANGE_DIVERGENCE, Symptom.BROKEN_RELATION})
"""What is told by numbers: those of a call that should have been refused are not looked at."""

SPARES: Final = 2
"""Further Cases of a defect that are kept, should the minimal one not fail again in a fresh process."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failing verdict with its Case.

    Attributes:
        first: the Case that was drawn, where `case` is what came of it when known defects were taken back.
        number, elapsed: how many Cases had been run, and for how many seconds, when it was seen.
        drawn_for: the name of the property that its Case was drawn for; empty for Cases that were not drawn.
    """

    key: FailureKey
    case: Case
    verdict: PathVerdict
    number: int
    elapsed: float
    first: Case | None = None
    drawn_for: str = ""

    @property
    def drawn(self) -> Case:
        """The Case that was drawn."""
        return self.first or self.case


@dataclass(slots=True)
class Bug:
    """One defect of this run.

    Attributes:
        key: of the minimal Case.
        minimal: the minimal Case.
        triggers: of the signature.
        regions: when it acts: if any of these conditions holds. Sizes that count together make several, such as few
            rows of many columns and many rows of few.
        paths: the paths on which it was seen.
        kernels: what it needs in its kernels, if sizes only decide that they run.
        known: the row of the known-issues file that names it.
        observed: how many failures it explains, the first included.
        worst: the Case with the largest error over bound, with that ratio; `worst_errors` says where in its output.
        spares: other failures of it.
    """

    key: FailureKey
    minimal: Case
    triggers: dict[str, Any]
    regions: list[Condition]
    paths: set[str]
    kernels: InKernels | None = None
    known: KnownIssue | None = None
    observed: int = 0
    worst: tuple[Case, float] | None = None
    worst_errors: ErrorGrid | None = None
    spares: list[Failure] = field(default_factory=list)

    @property
    def signature(self) -> str:
        """What makes two bugs the same one."""
        return signature(self.key.surface, self.key.path, self.key.symptom.value, self.key.how, self.triggers)

    def hides(self, key: FailureKey) -> bool:
        """Whether a Case on which this defect acts may not show another failure: the path fails already, or never runs."""
        if key.symptom is Symptom.MISSING_ERROR and self.key.symptom in NUMERIC:
            return False
        return key.path in self.paths or (QUANTIZE in self.paths and self.key.symptom not in PASSED_ON)

    def concerns(self, key: FailureKey) -> bool:
        """Whether a failure of this kind may be this defect's."""
        return key.path in self.paths and ((key.symptom, key.how) == (self.key.symptom, self.key.how) or may_follow(key, self.key))

    def link(self, key: FailureKey) -> None:
        """Take a failure of another path as this defect's, from now on."""
        self.paths.add(key.path)

    def widen(self, failure: Failure) -> None:
        """Take the kernels of a failure that turned out to be this defect's as its own, too."""
        if self.kernels is not None and self.kernels.needed.holds(failure.case):
            self.kernels.arms.update(failure.verdict.arms)

    def count(self, failure: Failure) -> None:
        """Take a failure as explained by this defect."""
        self.observed += 1
        if len(self.spares) < SPARES and failure.key == self.key:
            self.spares.append(failure)
        ratio = failure.verdict.error_over_bound
        if ratio is not None and (self.worst is None or ratio > self.worst[1]):
            self.worst, self.worst_errors = (failure.case, ratio), failure.verdict.errors


@dataclass(slots=True)
class Row:
    """A row of the known-issues file in a run: explains failures at once, without a reduction.

    Attributes:
        observed: how many failures it explains.
        regions: when it acts: what the row says, and what turned out to belong to it.
        paths: where the same defect was seen beside the surfaces that the row names.
    """

    issue: KnownIssue
    observed: int = 0
    paths: set[str] = field(default_factory=set)
    regions: list[Condition] = field(init=False)

    def __post_init__(self) -> None:
        self.regions = [self.issue.condition]

    def hides(self, key: FailureKey) -> bool:
        """Whether a Case on which this defect acts may not show another failure: the path fails already, or never runs."""
        issue = self.issue
        if key.symptom is Symptom.MISSING_ERROR and issue.symptoms <= NUMERIC:
            return False
        on_path = key.surface in issue.surfaces and (not issue.paths or key.path in issue.paths)
        return on_path or key.path in self.paths or (QUANTIZE_SURFACE in issue.surfaces and bool(issue.symptoms - PASSED_ON))

    def concerns(self, key: FailureKey) -> bool:
        """Whether a failure of this kind may be this row's."""
        alike = key.symptom in self.issue.symptoms and self.issue.how in (None, key.how)
        return self.issue.concerns(key) or (key.path in self.paths and alike)

    def link(self, key: FailureKey) -> None:
        """Take a failure of another path as this row's, from now on."""
        self.paths.add(key.path)

    def count(self, failure: Failure) -> None:  # noqa: ARG002 - as of a bug
        """Take a failure as explained by this row."""
        self.observed += 1


Suspect = Bug | Row
