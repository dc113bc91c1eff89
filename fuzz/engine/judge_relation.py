"""Judges the relation of a Case: the second result against what follows from the first, bit for bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch

from fuzz.engine.calls import Prepared
from fuzz.engine.error_grid import error_grid
from fuzz.engine.judge import Finished, Question, context_lost, half_ulp, is_device_error, is_out_of_memory, place_of
from fuzz.engine.relations import Rule, second_call
from fuzz.engine.verdict import PathVerdict, Ruling, Symptom
from strategies.case import NON_FINITE


def judge_relation(question: Question, result: torch.Tensor, prepared: Prepared, run: Callable[[Prepared], Finished]) -> PathVerdict | None:
    """The verdict on the second call of the Case's relation; None if there is none, or if it is right.

    Args:
        question: the Case, its path and the row of the contract.
        result: of the first call, judged right.
        prepared: the first call's inputs.
        run: makes the second call.
    """
    if not NON_FINITE.isdisjoint({question.case.weight.fill, question.case.activation.fill}):
        return None  # which of several values that are no numbers comes out is not said
    related = None if question.row.ruling is not Ruling.VALID else second_call(question.path, prepared)
    if related is None:
        return None
    rule, second = related
    finished = run(second)
    if finished.error is not None:
        return _judge_error(question, rule, finished.error)
    expected = rule.expect(result, question.path, second)
    comparable = rule.comparable(result) if expected.shape == result.shape else torch.ones_like(expected, dtype=torch.bool)
    return _compare(question, rule, finished.tensor.to(expected.device), expected, comparable)


def _judge_error(question: Question, rule: Rule, error: Exception) -> PathVerdict | None:
    if is_device_error(error):
        return context_lost(question.answer(), error)
    if is_out_of_memory(error):
        return None
    return _broken(question, f"a result, as from the first call ({rule.source})", f"{type(error).__name__}: {error}"[:300])


def _compare(question: Question, rule: Rule, got: torch.Tensor, expected: torch.Tensor, comparable: torch.Tensor) -> PathVerdict | None:
    if got.shape.numel() != expected.shape.numel():
        return _broken(question, f"{tuple(expected.shape)} ({rule.source})", f"shape {tuple(got.shape)}")
    expected = expected.reshape(got.shape)
    same = (got == expected) | (got.isnan() & expected.isnan()) | ~comparable.reshape(got.shape)
    if bool(same.all()):
        return None
    flat = int((~same).flatten().int().argmax())
    place = place_of(flat, got.shape)
    wanted = f"{float(expected.flatten()[flat]):.9g} at {place} ({rule.source})"
    found = f"{float(got.flatten()[flat]):.9g} at {place}; {int((~same).sum())} of {same.numel()} outputs differ"
    distance = torch.where(same, 0.0, (got.double() - expected.double()).abs())
    # The same bits are due, so that a rounding is what an error is measured by.
    grid = error_grid(distance / half_ulp(expected.double(), got.dtype), ~same)
    return dataclasses.replace(_broken(question, wanted, found), errors=grid)


def _broken(question: Question, expected: str, got: str) -> PathVerdict:
    relation = question.case.execution.relation.value
    return question.answer(Symptom.BROKEN_RELATION, relation, expected=expected, got=got)
