"""Judges the result of a path: outcome, shape, dtype, then numbers against the reference.

Paths are compared with the reference and not in pairs: two paths that both lie within their bounds of the reference
cannot differ by more than the sum of the bounds, and one that does not is named, where a pair would leave open which
of the two is wrong.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Final

import torch

from fuzz.engine.bounds import ROUNDOFF, UNDERFLOW, Interval, dequantize_model, error_model, interval
from fuzz.engine.contract import Row
from fuzz.engine.library import Library
from fuzz.engine.paths import Path
from fuzz.engine.reference import DecodedWeight, Product
from fuzz.engine.tensors import FLOAT_DTYPES
from fuzz.engine.verdict import PathVerdict, Ruling, Symptom
from strategies.case import Case, Layout, PackedView

_CUDA_ERROR: Final = re.compile(r"CUDA error|CUBLAS_STATUS_(EXECUTION_FAILED|INTERNAL_ERROR)|cudaError", re.IGNORECASE)
_NO_MEMORY: Final = re.compile(r"out of memory|CUBLAS_STATUS_ALLOC_FAILED|can't allocate memory", re.IGNORECASE)
MESSAGE_LENGTH: Final = 300
"""Characters of an exception's message that are kept."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A path's result: a tensor, or the exception it raised."""

    result: torch.Tensor | None
    error: Exception | None


@dataclass(frozen=True, slots=True)
class Question:
    """What is being judged: a Case on a path under a row of the contract."""

    case: Case
    path: Path
    library: Library
    row: Row

    def answer(self, symptom: Symptom | None = None, how: str = "", *, expected: str = "", got: str = "") -> PathVerdict:
        """A verdict on this question, without numbers."""
        return PathVerdict(
            path=self.path.name,
            surface=self.path.surface,
            ruling=self.row.ruling,
            source=self.row.source,
            symptom=symptom,
            how=how,
            expected=expected,
            got=got,
        )


def is_device_error(error: BaseException) -> bool:
    """Whether an exception says that the CUDA context is lost. Out of memory does not: the context survives it."""
    return not is_out_of_memory(error) and _CUDA_ERROR.search(str(error)) is not None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, which says nothing about the library: the next run of the same Case may well succeed."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or _NO_MEMORY.search(str(error)) is not None


def judge(question: Question, finished: Finished, product: Product) -> PathVerdict:
    """The verdict on what a path returned or raised.

    Args:
        question: the Case, its path and the row of the contract.
        finished: the result or the exception.
        product: the reference for the result, from `product_of_weight` where the path yields the weight.

    Raises:
        ValueError: the path has neither a result nor an exception, or the reference another shape than a right result.
    """
    if finished.error is not None:
        return judge_error(question, finished.error)
    if finished.result is None:
        raise ValueError("a path that raised nothing has a result")
    if question.row.ruling is Ruling.INVALID:
        got = f"a tensor of shape {tuple(finished.result.shape)}"
        return question.answer(Symptom.MISSING_ERROR, expected="a Python exception that names the problem", got=got)
    return judge_shape(question, finished.result, product) or judge_values(question, finished.result, product)


def judge_error(question: Question, error: Exception) -> PathVerdict:
    """The verdict on an exception: right for an invalid Case, allowed for an unspecified one."""
    name, message = type(error).__name__, str(error)[:MESSAGE_LENGTH]
    if is_device_error(error):
        return context_lost(question.answer(), error)
    if question.row.ruling is not Ruling.VALID or is_out_of_memory(error):
        return question.answer(got=f"{name}: {message}")
    return question.answer(Symptom.UNEXPECTED_EXCEPTION, name, expected="a result", got=f"{name}: {message}")


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
    case = question.case
    if not question.path.yields_weight:
        return case.output_shape
    stored = case.weight.stored_shape
    return stored if case.packed is PackedView.RETURNED else stored[::-1]


def expected_dtype(question: Question) -> torch.dtype:
    """The documented dtype of the path's result."""
    case = question.case
    return FLOAT_DTYPES[case.weight.dtype if question.path.yields_weight else case.activation_dtype]


def judge_shape(question: Question, result: torch.Tensor, product: Product) -> PathVerdict | None:
    """The verdict on a wrong shape or dtype; None if both are right."""
    shape, dtype = expected_shape(question), expected_dtype(question)
    if tuple(result.shape) != shape:
        got = f"shape {tuple(result.shape)}"
        return question.answer(Symptom.WRONG_SHAPE, expected=f"shape {shape}", got=got)
    if result.dtype != dtype:
        return question.answer(Symptom.WRONG_DTYPE, str(result.dtype), expected=str(dtype), got=str(result.dtype))
    if product.value.shape != result.shape:
        raise ValueError(f"the reference has shape {tuple(product.value.shape)}, the result {tuple(result.shape)}")
    return None


def judge_values(question: Question, result: torch.Tensor, product: Product) -> PathVerdict:
    """The verdict on the numbers: every output must lie in its interval."""
    case, path, library = question.case, question.path, question.library
    dtype = expected_dtype(question)
    arms = path.arms(case, library)
    stored = FLOAT_DTYPES[path.stored(case, library)]
    if path.yields_weight:
        model = dequantize_model(dtype)
    else:
        model = error_model(arms, dtype, product.terms, stored, bias=product.bias is not None)
    allowed = interval(product, model, dtype)
    output = result.detach().cpu()
    wrong = ~((output >= allowed.low) & (output <= allowed.high))
    wrong &= allowed.finite | output.isfinite()
    names = () if path.yields_weight else tuple(arm.value for arm in arms)
    verdict = _compare(question, output, allowed, wrong)
    return dataclasses.replace(verdict, arms=names, model=model)


def _compare(question: Question, output: torch.Tensor, allowed: Interval, wrong: torch.Tensor) -> PathVerdict:
    """The verdict on outputs of which `wrong` (bool, same shape) lie outside of their intervals."""
    ratio = (output.double() - allowed.value).abs() / (allowed.error + _half_ulp(allowed.value, output.dtype))
    ratio = torch.where(output.isfinite(), ratio, torch.where(wrong, float("inf"), 0.0))
    worst = _finite(float(ratio.max()))
    count = int(wrong.sum())
    if not count:
        return dataclasses.replace(question.answer(), error_over_bound=worst)
    flat = int(torch.where(wrong, ratio, -1.0).argmax())
    index = tuple(int(part) for part in torch.unravel_index(torch.tensor(flat), output.shape))
    value, error = float(allowed.value.flatten()[flat]), float(allowed.error.flatten()[flat])
    dtype = str(output.dtype).removeprefix("torch.")
    answer = question.answer(
        Symptom.WRONG_VALUE,
        expected=f"{value:.9g} within {error:.3g} before rounding to {dtype}, at {index}",
        got=f"{float(output.flatten()[flat]):.9g} at {index}; {count} of {output.numel()} outputs are wrong",
    )
    return dataclasses.replace(answer, error_over_bound=worst)


def _finite(ratio: float) -> float | None:
    # JSON has no infinity; a ratio that is not finite says no more than the symptom does.
    return ratio if ratio < float("inf") else None


def _half_ulp(value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return ROUNDOFF[dtype] * value.abs() + UNDERFLOW[dtype]


def product_of_weight(case: Case, weight: DecodedWeight) -> Product:
    """The reference of a dequantized weight, each element a product of one term, in the view that the Case asks for."""
    # Logical is [out, in]; the layout and the view transpose it once each.
    transposed = (case.weight.layout is Layout.IN_OUT) != (case.packed is PackedView.TRANSPOSED)
    parts = (weight.code, weight.scale, weight.scale_error)
    code, scale, scale_error = (part.t() for part in parts) if transposed else parts
    value, slack = code * scale, code.abs() * scale_error
    return Product(
        value=value,
        magnitude=value.abs() + slack,
        code_magnitude=code.abs(),
        activation_magnitude=torch.ones(1, dtype=torch.float64),
        scale_error=slack,
        bias=None,
        terms=1,
    )
