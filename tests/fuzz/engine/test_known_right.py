"""The same numbers are right by the same standard, and only by that."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from fuzz.engine import judge_values as module
from fuzz.engine.calls import prepare
from fuzz.engine.contract import rule
from fuzz.engine.judge import Question
from fuzz.engine.judge_values import judge_values
from fuzz.engine.known_right import KnownRight, all_finite, same_numbers
from fuzz.engine.library import inspect_library
from fuzz.engine.paths import BY_NAME
from fuzz.engine.references import References
from fuzz.engine.tensors import FLOAT_DTYPES, build
from fuzz.engine.verdict import Symptom
from strategies.case import Activation, Case, Fill, Weight

LIBRARY = inspect_library("cpu")
CASE = Case(
    weight=Weight(out_features=6, in_features=64, fill=Fill.NORMAL), activation=Activation(leading=(3,), fill=Fill.NORMAL), bias=True
)


def question(path: str, case: Case = CASE) -> Question:
    return Question(case, BY_NAME[path], LIBRARY, rule(case, BY_NAME[path].surface, LIBRARY))


def references() -> References:
    inputs = build(CASE)
    return References(inputs, prepare(CASE, inputs, LIBRARY))


def test_what_was_judged_right_is_found_by_its_numbers_and_standard() -> None:
    known, result = KnownRight(), torch.tensor([1.0, 2.0])
    asked = question("matmul_4bit")
    verdict = asked.answer()
    known.add(asked, result, verdict)
    assert known.find(asked, result.clone()) is verdict
    assert known.find(asked, torch.tensor([1.0, 2.5])) is None
    assert known.find(asked, result.half()) is None
    assert known.find(asked, result[None]) is None
    assert known.find(question("dequantize_4bit"), result) is None
    without_bias = dataclasses.replace(asked, path=dataclasses.replace(asked.path, adds_bias=False))
    assert known.find(without_bias, result) is None


def test_a_result_is_kept_as_it_was() -> None:
    known, result, asked = KnownRight(), torch.tensor([1.0, 2.0]), question("matmul_4bit")
    known.add(asked, result, asked.answer())
    result.fill_(7.0)
    assert known.find(asked, result) is None


def test_nan_is_never_known_to_be_right() -> None:
    known, result, asked = KnownRight(), torch.tensor([math.nan]), question("matmul_4bit")
    known.add(asked, result, asked.answer())
    assert known.find(asked, result) is None


def test_numbers_that_were_judged_once_are_not_judged_again(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []
    original = module._judge_all

    def watch(asked: Question, result: torch.Tensor, known: References) -> object:
        judged.append(asked.path.name)
        return original(asked, result, known)

    monkeypatch.setattr(module, "_judge_all", watch)
    found, asked = references(), question("matmul_4bit")
    result = found.linear(asked.path)
    first = judge_values(asked, result, found)
    second = judge_values(asked, result.clone(), found)
    assert judged == ["matmul_4bit"]
    assert first.symptom is None
    assert (second.error_over_bound, second.model) == (first.error_over_bound, first.model)
    wrong = result.clone()
    wrong[1, 2] += 1
    for count in (2, 3):  # what is wrong is judged each time
        assert judge_values(asked, wrong, found).symptom is Symptom.WRONG_VALUE
        assert len(judged) == count


def test_a_dequantized_weight_with_one_other_number_is_judged_in_full() -> None:
    found, asked = references(), question("dequantize_4bit")
    weight = found.weight(FLOAT_DTYPES[CASE.weight.dtype])
    assert judge_values(asked, weight, found).error_over_bound is None
    near = weight.clone()
    near[2, 5] *= 1 + torch.finfo(near.dtype).eps
    verdict = judge_values(asked, near, found)
    assert verdict.symptom is Symptom.WRONG_VALUE or verdict.error_over_bound
    far = weight.clone()
    far[2, 5] += 1
    assert judge_values(asked, far, found).symptom is Symptom.WRONG_VALUE


def test_the_same_numbers_have_the_same_shape_and_dtype() -> None:
    assert same_numbers(torch.zeros(2), -torch.zeros(2))
    assert not same_numbers(torch.zeros(2), torch.zeros(2, dtype=torch.float16))
    assert not same_numbers(torch.zeros(2), torch.zeros(2, device="meta"))
    assert not same_numbers(torch.zeros(2), torch.zeros(1, 2))


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_infinity_and_nan_are_not_finite(number: float) -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        values = torch.zeros(100, dtype=dtype)
        assert all_finite(values)
        values[57] = number
        assert not all_finite(values)
    assert all_finite(torch.zeros(0))
