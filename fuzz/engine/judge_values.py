"""Judges numbers, by rising sharpness: the a-priori bound, the range, then the kernel's own arithmetic where it is known.

Paths are compared with references and not in pairs: two paths that both lie within their bounds of the reference
cannot differ by more than the sum of the bounds, and one that does not is named, where a pair would leave open which
of the two is wrong.
"""

from __future__ import annotations

import dataclasses
from typing import Final

import torch

from fuzz.engine.error_grid import error_grid
from fuzz.engine.judge import Question, dtype_name, finite, half_ulp, place_of
from fuzz.engine.judge_sharply import is_emulated_weight, judge_sharply
from fuzz.engine.known_right import all_finite
from fuzz.engine.library import Library
from fuzz.engine.path import Path
from fuzz.engine.references import References
from fuzz.engine.tensors import FLOAT_DTYPES
from fuzz.engine.verdict import OVERFLOWED, UNDERFLOWED, Grade, PathVerdict, Symptom
from fuzz.oracle.arms import Arm
from fuzz.oracle.bounds import Interval, dequantize_model, error_model, interval, narrowest, triton_dequantize_model
from fuzz.oracle.calibration import find
from fuzz.oracle.emulate import ROUNDS_PRODUCTS
from fuzz.oracle.model import ErrorModel
from fuzz.oracle.reference import SMALLEST_NORMAL, Product
from fuzz.oracle.rounding import FLUSH, OVERFLOW
from strategies.case import Case, Fill

_OF_TORCH: Final = frozenset({Arm.LINEAR, Arm.TRITON_LINEAR})
"""Kernels whose product is torch's own."""


def judge_values(question: Question, result: torch.Tensor, references: References) -> PathVerdict:
    """The verdict on the numbers of a result of the right shape and dtype.

    Args:
        question: the Case, its path and the row of the contract.
        result: on the device.
        references: of the Case.

    Raises:
        ValueError: the reference has another shape than a right result.
    """
    if not result.numel():
        return question.answer()  # of nothing no number can be wrong
    result = result.detach().to(references.desk)
    if question.path.yields_weight and is_emulated_weight(question, result, references):
        return dataclasses.replace(question.answer(), model=dequantize_model(result.dtype))
    if (same := references.known_right.find(question, result)) is not None:
        return dataclasses.replace(question.answer(), error_over_bound=same.error_over_bound, model=same.model)
    verdict = _judge_all(question, result, references)
    if not verdict.symptom:
        references.known_right.add(question, result, verdict)
    return verdict


def _judge_all(question: Question, result: torch.Tensor, references: References) -> PathVerdict:
    product = references.product(question.path)
    if product.value.shape != result.shape:
        raise ValueError(f"the reference has shape {tuple(product.value.shape)}, the result {tuple(result.shape)}")
    arms = question.path.arms(question.case, question.library)
    model = error_model_of(question.path, question.case, question.library, product)
    verdict = _judge(question, arms, result, references, model)
    return dataclasses.replace(verdict, model=model)


def error_model_of(path: Path, case: Case, library: Library, product: Product) -> ErrorModel:
    """The a-priori bound of what `path` yields: that of the weakest kernel that may run."""
    if path.yields_weight:
        triton = Arm.TRITON_DEQUANTIZE in path.arms(case, library)
        return (triton_dequantize_model if triton else dequantize_model)(FLOAT_DTYPES[case.weight.dtype])
    stored, dtype = FLOAT_DTYPES[path.stored(case, library)], FLOAT_DTYPES[case.activation_dtype]
    return error_model(path.arms(case, library), dtype, product.terms, stored, bias=product.bias is not None)


def definitely_wrong(output: torch.Tensor, allowed: Interval) -> torch.Tensor:
    """Which outputs (bool, same shape) lie beyond the a-priori bound, and not because an intermediate may overflow."""
    outside = ~((output >= allowed.low) & (output <= allowed.high))
    return outside & (allowed.finite | output.isfinite())


def _judge(question: Question, arms: tuple[Arm, ...], result: torch.Tensor, references: References, model: ErrorModel) -> PathVerdict:
    product, output = references.product(question.path), result.cpu()
    allowed = interval(product, model, output.dtype, narrowest(arms, output.dtype))
    wrong, all_numbers = definitely_wrong(output, allowed), all_finite(product.magnitude)
    if not _OF_TORCH.isdisjoint(arms) and not all_numbers:
        # torch's dense products promise nothing for what is no number: oneDNN's bfloat16 product of an odd number of terms
        # multiplies the next row's first one by the zero that it pads with, and NaN comes out beside infinity.
        wrong &= output.isfinite() & allowed.value.isfinite()
    verdict = _definite(question, output, allowed, wrong)
    if verdict.symptom:
        return verdict
    if not all_numbers or Fill.SUBNORMAL in {question.case.activation.fill, question.case.weight.fill}:
        return verdict  # the kernels' arithmetic was measured on normal numbers
    calibration = find(question.library.device_name, question.library.version)
    sharp = judge_sharply(question, result, references, calibration) if calibration else None
    return sharp or _range(question, arms, output, product, model) or verdict


def _definite(question: Question, output: torch.Tensor, allowed: Interval, wrong: torch.Tensor) -> PathVerdict:
    """The verdict on outputs of which `wrong` (bool, same shape) lie outside of their a-priori intervals."""
    ratio = (output.double() - allowed.value).abs() / (allowed.error + half_ulp(allowed.value, output.dtype))
    ratio = torch.where(output.isfinite(), ratio.nan_to_num(nan=torch.inf), torch.where(wrong, float("inf"), 0.0))
    worst = finite(float(ratio.max()))
    count = int(wrong.sum())
    if not count:
        return dataclasses.replace(question.answer(), error_over_bound=worst)
    flat = int(torch.where(wrong, ratio, -1.0).argmax())
    place = place_of(flat, output.shape)
    value, error = float(allowed.value.flatten()[flat]), float(allowed.error.flatten()[flat])
    answer = question.answer(
        Symptom.WRONG_VALUE,
        expected=f"{value:.9g} within {error:.3g} before rounding to {dtype_name(output.dtype)}, at {place}",
        got=f"{float(output.flatten()[flat]):.9g} at {place}; {count} of {output.numel()} outputs are wrong",
        grade=Grade.DEFINITE,
    )
    return dataclasses.replace(answer, error_over_bound=worst, errors=error_grid(ratio, wrong))


def _range(question: Question, arms: tuple[Arm, ...], output: torch.Tensor, product: Product, model: ErrorModel) -> PathVerdict | None:
    """The verdict on outputs that a 16-bit intermediate result took out of range, although they are in range themselves."""
    may_underflow = set(arms) <= ROUNDS_PRODUCTS and output.dtype is torch.float16
    if not may_underflow and all_finite(output):
        return None
    allowed = interval(product, model, output.dtype)
    representable = allowed.value.abs() + allowed.error < OVERFLOW[output.dtype]
    overflowed = ~output.isfinite() & representable
    if bool(overflowed.any()):
        return _out_of_range(question, output, allowed, overflowed, OVERFLOWED)
    if not may_underflow:
        return None
    # The same bound without the error of products that fall below float16's range: only those can explain the rest.
    kept = interval(product, dataclasses.replace(model, constant=product.terms * FLUSH), output.dtype)
    outside = ~((output >= kept.low) & (output <= kept.high))
    # What is subnormal itself has lost its precision by right.
    underflowed = outside & output.isfinite() & kept.finite & (allowed.value.abs() >= SMALLEST_NORMAL)
    return _out_of_range(question, output, allowed, underflowed, UNDERFLOWED) if bool(underflowed.any()) else None


def _out_of_range(question: Question, output: torch.Tensor, allowed: Interval, where: torch.Tensor, how: str) -> PathVerdict:
    flat = int(torch.where(where, (output.double() - allowed.value).abs().nan_to_num(nan=torch.inf, posinf=torch.inf), -1.0).argmax())
    place = place_of(flat, output.shape)
    answer = question.answer(
        Symptom.RANGE_DIVERGENCE,
        how,
        expected=f"{float(allowed.value.flatten()[flat]):.9g}, which {dtype_name(output.dtype)} can represent, at {place}",
        got=f"{float(output.flatten()[flat]):.9g} at {place}; {int(where.sum())} of {output.numel()} outputs",
    )
    ratio = (output.double() - allowed.value).abs() / (allowed.error + half_ulp(allowed.value, output.dtype))
    return dataclasses.replace(answer, errors=error_grid(ratio, where))
