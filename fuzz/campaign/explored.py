"""Which sizes, dtypes and kernels a run has explored how densely, and where something failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from fuzz.campaign.coverage import ALTERNATIVE, nested
from fuzz.engine.verdict import CaseResult, PathVerdict
from reports.space import ARMS, DTYPES, ROWS, SIZES, Space
from strategies.case import Case


class Explored:
    """Counts of one run, by powers of two: their number does not grow with the run."""

    def __init__(self) -> None:
        self._cases: Counter[tuple[str, str]] = Counter()
        self._failed: Counter[tuple[str, str]] = Counter()

    def count(self, case: Case, result: CaseResult) -> None:
        """Add a Case that was run."""
        bins = list(_bins(case))
        self._cases.update(bins)
        if result.failures:
            self._failed.update(bins)
        self._cases.update(_arms(result.verdicts))
        self._failed.update(_arms(result.failures))

    def space(self) -> Space:
        """The counts as they are reported."""
        return Space(cases=nested(self._cases), failed=nested(self._failed))


def _bins(case: Case) -> Iterator[tuple[str, str]]:
    weight = case.weight
    yield SIZES, f"{_bin(weight.out_features)},{_bin(weight.in_features)}"
    yield ROWS, str(_bin(case.activation.rows))
    yield DTYPES, case.activation_dtype.value


def _arms(verdicts: tuple[PathVerdict, ...]) -> Iterator[tuple[str, str]]:
    return ((ARMS, ALTERNATIVE.join(verdict.arms)) for verdict in verdicts if verdict.arms)


def _bin(size: int) -> int:
    """The bin of a size, by `reports.space`."""
    return size.bit_length()
