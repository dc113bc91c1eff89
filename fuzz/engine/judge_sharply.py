"""Judges numbers by the kernel's own arithmetic, as it was confirmed on this device: the interval, then the bits."""

from __future__ import annotations

import dataclasses
from typing import Final

import torch

from fuzz.engine.error_grid import error_grid
from fuzz.engine.judge import Question, expected_dtype, finite, half_ulp, place_of
from fuzz.engine.known_right import all_finite, same_numbers
from fuzz.engine.path import Yields
from fuzz.engine.references import References
from fuzz.engine.verdict import Grade, PathVerdict, Symptom
from fuzz.oracle.arms import Arm
from fuzz.oracle.calibration import Calibration
from fuzz.oracle.expected import Arithmetic, any_of
from fuzz.oracle.ordered import operations
from fuzz.oracle.rounding import FLUSH
from strategies.case import CudaStream, Memory, Mode, PackedView

MOST_OPERATIONS: Final = 1000
"""Tensor operations for one path's bits, some milliseconds on a GPU; longer sums are judged by their intervals, which a
handful of operations give."""


def judge_sharply(question: Question, result: torch.Tensor, references: References, calibration: Calibration) -> PathVerdict | None:
    """The verdict by what was measured on this device; None if nothing is wrong by it, or nothing is known.

    Args:
        question: the Case, its path and the row of the contract.
        result: of the right shape and dtype, on the references' desk.
        references: of the Case.
        calibration: of this device and release.
    """
    arms = question.path.arms(question.case, question.library)
    if arms == (Arm.LINEAR,) and not (question.path.yields is Yields.PRODUCT and _as_calibrated(question)):
        return None
    if arms in ((Arm.DEQUANTIZE,), (Arm.LINEAR,)):
        row = calibration.row(arms[0], result.dtype)
        return _same_bits(question, result, _twin(question, arms[0], references)) if row and row.ordered else None
    # Before 0.50 `matmul_4bit` adds the bias to what gemv_4bit returned.
    arithmetics = calibration.arithmetics(arms, result.dtype, late_bias=not question.library.fused)
    if not arithmetics:
        return None
    terms = question.case.weight.in_features
    affordable = tuple(
        dataclasses.replace(choice, ordered=choice.ordered and operations(choice.arm, result.dtype, terms) <= MOST_OPERATIONS)
        for choice in arithmetics
    )
    return _by_arithmetic(question, result.reshape(-1, result.shape[-1]), references, affordable)


def is_emulated_weight(question: Question, result: torch.Tensor, references: References) -> bool:
    """Whether a dequantized weight is finite and has the numbers of the emulation, which lie within every bound by construction."""
    return same_numbers(result, _weight(question, references)) and all_finite(result)


def _as_calibrated(question: Question) -> bool:
    """Whether BLAS was called as it is for what it is compared with.

    It may choose another kernel for operands that are not aligned or contiguous than for a copy that upstream makes. What it
    chooses on another stream or for a graph, each of which has a workspace of its own, was not measured.
    """
    case = question.case
    if case.execution.stream is not CudaStream.DEFAULT or question.path.mode is Mode.GRAPH:
        return False
    return {case.memory.activation, case.memory.bias} <= {Memory.CONTIGUOUS, Memory.GUARDED}


def _by_arithmetic(
    question: Question, output: torch.Tensor, references: References, arithmetics: tuple[Arithmetic, ...]
) -> PathVerdict | None:
    right = _right(question, output, references, arithmetics)
    if bool(right.all()):
        return None
    relaxed = tuple(dataclasses.replace(arithmetic, ordered=False) for arithmetic in arithmetics)
    inside = _right(question, output, references, relaxed)
    grade = Grade.BITS if bool(inside.all()) else Grade.DRIFT
    wrong = ~right if grade is Grade.BITS else ~inside
    interval = references.expected(question.path, relaxed[0])
    bias = references.operands(question.path).bias
    value = interval.value if bias is None else interval.value + bias.double()
    ratio = ((output.double() - value).abs() / (interval.error + half_ulp(value, output.dtype))).nan_to_num(nan=torch.inf, posinf=torch.inf)
    flat = int(torch.where(wrong, ratio, -1.0).argmax())
    shown = interval if grade is Grade.DRIFT else references.expected(question.path, arithmetics[0])
    low, high = float(shown.low.flatten()[flat]), float(shown.high.flatten()[flat])
    between = f"{low:.9g} to {high:.9g}" if low < high else f"{low:.9g}"
    verdict = _verdict(question, output, wrong, _Worst(flat, between, grade))
    return dataclasses.replace(verdict, error_over_bound=finite(float(ratio.flatten()[flat])), errors=error_grid(ratio, wrong))


def _right(question: Question, output: torch.Tensor, references: References, choices: tuple[Arithmetic, ...]) -> torch.Tensor:
    return any_of((references.expected(question.path, choice) for choice in choices), output)


def _twin(question: Question, arm: Arm, references: References) -> torch.Tensor:
    return references.linear(question.path) if arm is Arm.LINEAR else _weight(question, references)


def _weight(question: Question, references: References) -> torch.Tensor:
    weight = references.weight(expected_dtype(question))
    return weight if question.case.packed is PackedView.RETURNED else weight.t()


def _same_bits(question: Question, result: torch.Tensor, twin: torch.Tensor) -> PathVerdict | None:
    same = (result == twin) | (result.isnan() & twin.isnan())
    # Kernels built with --use_fast_math flush what is subnormal in float32.
    same |= (result == 0) & (twin.abs() < FLUSH)
    if bool(same.all()):
        return None
    distance = (result.double() - twin.double()).abs().nan_to_num(nan=torch.inf, posinf=torch.inf)
    flat = int(torch.where(same, -1.0, distance).argmax())
    verdict = _verdict(question, result, ~same, _Worst(flat, f"{float(twin.flatten()[flat]):.9g}", Grade.BITS))
    # The same number is due here, so that a rounding is what an error is measured by.
    return dataclasses.replace(verdict, errors=error_grid(distance / half_ulp(twin.double(), result.dtype), ~same))


@dataclasses.dataclass(frozen=True, slots=True)
class _Worst:
    """The output that is shown: its flat index, what it should be in words, and the grade of all."""

    flat: int
    expected: str
    grade: Grade


def _verdict(question: Question, output: torch.Tensor, wrong: torch.Tensor, worst: _Worst) -> PathVerdict:
    shape = output.shape if question.path.yields_weight else torch.Size(question.case.output_shape)
    place = place_of(worst.flat, shape)
    return question.answer(
        Symptom.WRONG_VALUE,
        worst.grade.value,
        expected=f"{worst.expected} by the kernel's own arithmetic, at {place}",
        got=f"{float(output.flatten()[worst.flat]):.9g} at {place}; {int(wrong.sum())} of {wrong.numel()} outputs are wrong",
        grade=worst.grade,
    )
