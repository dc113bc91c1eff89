"""Shows each planted fault to the judge, Case after Case, until it is seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import torch

from fuzz.engine.calls import Prepared, prepare
from fuzz.engine.contract import Row
from fuzz.engine.guarded import OutOfBoundsError
from fuzz.engine.judge import Finished, Question, judge_outcome
from fuzz.engine.judge_quantize import judge_quantized
from fuzz.engine.judge_values import judge_values
from fuzz.engine.library import Library
from fuzz.engine.references import References
from fuzz.engine.runner import QUANTIZE_PATH
from fuzz.engine.tensors import Inputs, build
from fuzz.engine.verdict import PathVerdict, Ruling
from fuzz.oracle.arms import Arm
from fuzz.selfcheck import faults_arithmetic, faults_dequantize, faults_product, faults_quantize
from fuzz.selfcheck.fault import PRODUCT_ARMS, Fault, Step
from fuzz.selfcheck.subject import path_of
from strategies.case import Case

FAULTS: Final = (
    *faults_quantize.FAULTS,
    *faults_dequantize.FAULTS,
    *faults_product.READING,
    *faults_product.WRITING,
    *faults_arithmetic.FAULTS,
)

NOTHING: Final = "nothing"
"""Name of what is planted where a right result is judged."""

MOST_CASES: Final = 800
"""Cases that a fault may take to be seen."""

_VALID: Final = Row(ruling=Ruling.VALID, source="a planted fault", when=lambda case, library: True)  # noqa: ARG005


@dataclass(frozen=True, slots=True)
class Planted:
    """A fault in one kernel."""

    fault: Fault
    arm: Arm

    @property
    def name(self) -> str:
        """Step, kernel and fault."""
        where = "" if self.fault.step is not Step.PRODUCT else f" {self.arm.value}"
        return f"{self.fault.step.value}{where}: {self.fault.name}"


@dataclass(frozen=True, slots=True)
class Seen:
    """How a planted fault fared: the Cases that it took in each search (None: not seen), and the first verdict on it."""

    planted: Planted
    cases: tuple[int | None, ...]
    verdict: PathVerdict | None

    @property
    def median(self) -> float:
        """Median of the Cases over all searches; a search that did not see it counts as infinite."""
        ordered = sorted(float("inf") if count is None else count for count in self.cases)
        middle = len(ordered) // 2
        return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2

    @property
    def found(self) -> bool:
        """Whether it is seen within the limit at the median."""
        return self.median <= MOST_CASES


def planted() -> tuple[Planted, ...]:
    """Every fault in every kernel that it can be in."""
    return tuple(Planted(fault, arm) for fault in FAULTS for arm in fault.arms)


class Checker:
    """Judges planted faults.

    Args:
        library: the bitsandbytes that quantizes; its device name decides which calibration the judge relies on.
        kernel: the right kernels.
    """

    def __init__(self, library: Library, kernel: Callable[[Arm, Prepared], torch.Tensor]) -> None:
        self._library, self._kernel = library, kernel

    def prepare(self, case: Case) -> tuple[Inputs, Prepared]:
        """The tensors of a Case, quantized rightly."""
        inputs = build(case)
        return inputs, prepare(case, inputs, self._library)

    def judge(self, item: Planted, inputs: Inputs, prepared: Prepared, generator: torch.Generator) -> PathVerdict:
        """The verdict on a Case with the fault planted."""
        if item.fault.step is Step.QUANTIZE:
            given = self._given(item.fault, prepared, generator)
            return judge_quantized(Question(prepared.case, QUANTIZE_PATH, self._library, _VALID), given)
        path = dataclasses.replace(path_of(item.arm), arms=lambda case, library: (item.arm,))  # noqa: ARG005
        question = Question(prepared.case, path, self._library, _VALID)
        finished = self._finished(item, prepared, generator)
        return judge_outcome(question, finished) or judge_values(question, finished.tensor, References(inputs, prepared))

    def _given(self, fault: Fault, prepared: Prepared, generator: torch.Generator) -> Prepared:
        return prepared if fault.corrupt is None else fault.corrupt(prepared, generator)

    def _finished(self, item: Planted, prepared: Prepared, generator: torch.Generator) -> Finished:
        try:
            return Finished(self._result(item, prepared, generator), None)
        except OutOfBoundsError as error:
            return Finished(None, error)

    def _result(self, item: Planted, prepared: Prepared, generator: torch.Generator) -> torch.Tensor:
        if item.fault.kernel is not None:
            return item.fault.kernel(item.arm, prepared)
        result = self._kernel(item.arm, self._given(item.fault, prepared, generator))
        return result if item.fault.spoil is None else item.fault.spoil(result, prepared, generator)


def applies(item: Planted, case: Case) -> bool:
    """Whether the fault can show in a Case, and its kernel can be given it."""
    if item.fault.step is not Step.PRODUCT:
        return item.fault.applies(case)
    if case.weight.in_features % case.quantization.blocksize != 0 and item.arm is not Arm.LINEAR:
        return False
    if item.arm is Arm.GEMV and case.activation.rows != 1:
        return False
    if item.arm is Arm.TENSOR_CORE and case.activation_dtype.value == "float32":
        return False
    return item.fault.applies(case)


def correct() -> Iterator[Planted]:
    """No fault at all, in every step and kernel: what must not be flagged."""
    for step, arms in ((Step.QUANTIZE, (Arm.DEQUANTIZE,)), (Step.DEQUANTIZE, (Arm.DEQUANTIZE,)), (Step.PRODUCT, PRODUCT_ARMS)):
        for arm in arms:
            yield Planted(Fault(name=NOTHING, step=step, arms=(arm,)), arm)
