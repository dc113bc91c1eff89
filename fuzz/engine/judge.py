"""Judges the outcome of a path: exception, shape and dtype. The numbers are judged in `judge_values`."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Final

import torch

from fuzz.engine.compiling import CompilerError
from fuzz.engine.contract import Row
from fuzz.engine.graphs import CaptureError, UnequalReplaysError
from fuzz.engine.guarded import OutOfBoundsError
from fuzz.engine.library import Library
from fuzz.engine.path import Path, Yields
from fuzz.engine.tensors import FLOAT_DTYPES
from fuzz.engine.verdict import CAPTURE_FAILED, Grade, PathVerdict, Ruling, Symptom
from fuzz.oracle.rounding import ROUNDOFF, UNDERFLOW
from reports.finding import ALLOCATED, LEFT_ERROR
from strategies.case import Case, PackedView


class RefusedLaunchError(RuntimeError):
    """CUDA refused a launch, and the context lives on.

    Args:
        message: of the error.
        left: whether the call returned as if nothing had happened, and the error was left for whatever is called next.
    """

    def __init__(self, message: str, *, left: bool) -> None:
        super().__init__(message)
        self.left = left


_OF_TRITON: Final = (
    r"Triton Error \[CUDA\]: (an illegal |misaligned address|unspecified launch failure|the launch timed out|device-side assert|"
    r"hardware stack error|invalid program counter|operation not supported on global)"
)
"""What Triton says when a launch is refused because the context is lost: the driver's own words for its errors that last."""

_CUDA_ERROR: Final = re.compile(rf"CUDA error|CUBLAS_STATUS_(EXECUTION_FAILED|INTERNAL_ERROR)|cudaError|{_OF_TRITON}", re.IGNORECASE)
_NO_MEMORY: Final = re.compile(r"out of memory|CUBLAS_STATUS_ALLOC_FAILED|can't allocate memory", re.IGNORECASE)
REPLAY: Final = "replay"
"""What `how` says where two replays of one CUDA graph differ."""

MESSAGE_LENGTH: Final = 300
"""Characters of an exception's message that are kept."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A path's result: a tensor, or the exception it raised.

    Attributes:
        overrun: what was written outside of the memory that the library allocated for itself; empty if nothing was.
    """

    result: torch.Tensor | None
    error: Exception | None
    overrun: str = ""

    @property
    def tensor(self) -> torch.Tensor:
        """The result.

        Raises:
            ValueError: there is none.
        """
        if self.result is None:
            raise ValueError("a path that raised has no result")
        return self.result


@dataclass(frozen=True, slots=True)
class Question:
    """What is being judged: a Case on a path under a row of the contract."""

    case: Case
    path: Path
    library: Library
    row: Row

    def answer(
        self, symptom: Symptom | None = None, how: str = "", *, expected: str = "", got: str = "", grade: Grade | None = None
    ) -> PathVerdict:
        """A verdict on this question, without numbers. It names the kernels that may run, should the process die in one."""
        return PathVerdict(
            path=self.path.name,
            surface=self.path.surface,
            ruling=self.row.ruling,
            source=self.row.source,
            symptom=symptom,
            how=how,
            expected=expected,
            got=got,
            grade=grade,
            arms=tuple(arm.value for arm in self.path.arms(self.case, self.library)),
        )


def is_device_error(error: BaseException) -> bool:
    """Whether an exception says that the CUDA context is lost. Out of memory does not: the context survives it."""
    return not is_out_of_memory(error) and not isinstance(error, RefusedLaunchError) and _CUDA_ERROR.search(str(error)) is not None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, which says nothing about the library: the next run of the same Case may well succeed."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or _NO_MEMORY.search(str(error)) is not None


def judge_outcome(question: Question, finished: Finished) -> PathVerdict | None:
    """The verdict on a path that raised, should have raised, or returned another shape or dtype; None if all that is right.

    Raises:
        ValueError: the path has neither a result nor an exception.
    """
    if finished.error is not None:
        return judge_error(question, finished.error)
    if question.row.ruling is Ruling.INVALID:
        got = f"a tensor of shape {tuple(finished.tensor.shape)}"
        return question.answer(Symptom.MISSING_ERROR, expected="a Python exception that names the problem", got=got)
    return judge_shape(question, finished.tensor)


def judge_error(question: Question, error: Exception) -> PathVerdict:
    """The verdict on an exception: right for an invalid Case, allowed for an unspecified one, nobody's where a compiler failed."""
    name, message = type(error).__name__, str(error)[:MESSAGE_LENGTH]
    if isinstance(error, CaptureError):
        return question.answer(how=CAPTURE_FAILED, got=message)
    if is_device_error(error):
        return context_lost(question.answer(), error)
    if (noticed := _noticed(question, error)) is not None:
        return noticed
    if question.row.ruling is not Ruling.VALID or is_out_of_memory(error) or isinstance(error, CompilerError):
        return question.answer(got=f"{name}: {message}")
    return question.answer(Symptom.UNEXPECTED_EXCEPTION, name, expected="a result", got=f"{name}: {message}")


def _noticed(question: Question, error: Exception) -> PathVerdict | None:
    """The verdict on what the harness noticed of a call, and raised itself: wrong whatever the documents say."""
    message = str(error)[:MESSAGE_LENGTH]
    if isinstance(error, OutOfBoundsError):
        return question.answer(Symptom.OUT_OF_BOUNDS, expected="nothing written outside of the output", got=message)
    if isinstance(error, RefusedLaunchError) and error.left:
        expected = "a result, or an exception of this call"
        return question.answer(Symptom.UNEXPECTED_EXCEPTION, LEFT_ERROR, expected=expected, got=f"the next call raises: {message}")
    if isinstance(error, UnequalReplaysError):
        return question.answer(Symptom.BROKEN_RELATION, REPLAY, expected="the same from two replays of one graph", got=message)
    return None


def judge_memory(question: Question, overrun: str) -> PathVerdict | None:
    """The verdict on what was written outside of the memory that the library allocated for itself; None if nothing was."""
    if not overrun:
        return None
    return question.answer(Symptom.OUT_OF_BOUNDS, ALLOCATED, expected="nothing written outside of what was allocated", got=overrun)


def context_lost(pending: PathVerdict, error: Exception) -> PathVerdict:
    """The verdict on a path after which the device answers nothing but errors."""
    message = str(error)[:MESSAGE_LENGTH]
    return dataclasses.replace(
        pending,
        symptom=Symptom.CONTEXT_LOST,
        how=message.splitlines()[0] if message else "",
        expected="a result, or a Python exception before launch",
        got=message,
    )


def expected_shape(question: Question) -> tuple[int, ...]:
    """The documented shape of the path's result."""
    case, yields = question.case, question.path.yields
    if yields is Yields.PRODUCT:
        return case.output_shape
    if yields is Yields.INPUT_GRADIENT:
        return (*case.activation.leading, case.weight.in_features)
    if yields is Yields.BIAS_GRADIENT:
        return (case.weight.out_features,)
    stored = case.weight.stored_shape
    return stored if case.packed is PackedView.RETURNED else stored[::-1]


def expected_dtype(question: Question) -> torch.dtype:
    """The documented dtype of the path's result."""
    case = question.case
    return FLOAT_DTYPES[case.weight.dtype if question.path.yields_weight else case.activation_dtype]


def judge_shape(question: Question, result: torch.Tensor) -> PathVerdict | None:
    """The verdict on a wrong shape or dtype; None if both are right."""
    shape, dtype = expected_shape(question), expected_dtype(question)
    if tuple(result.shape) != shape:
        got = f"shape {tuple(result.shape)}"
        return question.answer(Symptom.WRONG_SHAPE, expected=f"shape {shape}", got=got)
    if result.dtype != dtype:
        return question.answer(Symptom.WRONG_DTYPE, str(result.dtype), expected=str(dtype), got=str(result.dtype))
    return None


def place_of(flat: int, shape: torch.Size) -> tuple[int, ...]:
    """The index of an element by its flat index."""
    return tuple(int(part) for part in torch.unravel_index(torch.tensor(flat), shape))


def dtype_name(dtype: torch.dtype) -> str:
    """A dtype as people write it, such as "float16"."""
    return str(dtype).removeprefix("torch.")


def finite(ratio: float) -> float | None:
    """The ratio, or None if it is infinite: JSON has no infinity, and it says no more than the symptom does."""
    return ratio if ratio < float("inf") else None


def half_ulp(value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What rounding `value` (float64) to `dtype` may change: u|value| and the underflow unit."""
    return ROUNDOFF[dtype] * value.abs() + UNDERFLOW[dtype]
