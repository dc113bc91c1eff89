"""Searches: how many Cases of the fuzzer's own strategy each planted fault takes until it is seen."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from fuzz.engine.calls import Prepared
from fuzz.engine.tensors import Inputs
from fuzz.engine.verdict import PathVerdict, Symptom
from fuzz.selfcheck.check import MOST_CASES, NOTHING, Checker, Planted, Seen, applies, correct
from fuzz.selfcheck.draw import drawn
from fuzz.selfcheck.fault import Fault
from strategies.case import Case

Reaches = Callable[[Planted, Case], Case | None]
"""The Case, made to fit, in which the right kernel of a planted fault runs; None if it cannot."""


@dataclass(frozen=True, slots=True)
class FalseAlarm:
    """A verdict with a symptom on a right result."""

    planted: Planted
    case: Case
    verdict: PathVerdict


class Searches:
    """Several searches, each with Cases of its own.

    Args:
        checker: the judge and the right kernels.
        seeds: one for each search.
        small: whether Cases are cut down to what can be emulated on a CPU.
        reaches: makes a Case reach a kernel.
    """

    def __init__(self, checker: Checker, seeds: Sequence[int], *, small: bool, reaches: Reaches) -> None:
        self._checker, self._reaches = checker, reaches
        self._cases = {seed: drawn(seed, MOST_CASES, small=small) for seed in seeds}
        self._prepared = functools.lru_cache(maxsize=64)(checker.prepare)

    def find(self, item: Planted) -> Seen:
        """Search for one planted fault with every seed."""
        verdicts: list[PathVerdict] = []
        counts: list[int | None] = []
        for seed, cases in self._cases.items():
            counts.append(None)
            for number, case in enumerate(cases, 1):
                verdict = self._judge(item, case, seed * MOST_CASES + number)
                if verdict is not None and verdict.symptom is not None and not self._by_design(item, case, verdict):
                    counts[-1] = number
                    verdicts.append(verdict)
                    break
        return Seen(item, tuple(counts), verdicts[0] if verdicts else None)

    def false_alarms(self, cases: int) -> Iterator[FalseAlarm | None]:
        """One entry for each right result of the first `cases` Cases in every step and kernel: None if it is not flagged.

        A range divergence is a property of right kernels, which round each product to 16 bit, and no alarm.
        """
        for seed, drawn_cases in self._cases.items():
            for number, case in enumerate(drawn_cases[:cases], 1):
                for item in correct():
                    verdict = self._judge(item, case, seed * MOST_CASES + number)
                    if verdict is not None:
                        flagged = verdict.symptom not in (None, Symptom.RANGE_DIVERGENCE)
                        yield FalseAlarm(item, case, verdict) if flagged else None

    def _by_design(self, item: Planted, case: Case, verdict: PathVerdict) -> bool:
        """Whether a verdict is about the range that the right kernel leaves too, and so nothing of the fault was seen."""
        if verdict.symptom is not Symptom.RANGE_DIVERGENCE:
            return False
        right = self._judge(dataclasses.replace(item, fault=Fault(name=NOTHING, step=item.fault.step, arms=(item.arm,))), case, 0)
        return right is None or right.symptom is Symptom.RANGE_DIVERGENCE

    def _judge(self, item: Planted, case: Case, seed: int) -> PathVerdict | None:
        fitting = self._reaches(item, case)
        if fitting is None or not applies(item, fitting):
            return None
        case = fitting
        inputs, prepared = self._tensors(case)
        return self._checker.judge(item, inputs, prepared, torch.Generator().manual_seed(seed))

    def _tensors(self, case: Case) -> tuple[Inputs, Prepared]:
        return self._prepared(case)
