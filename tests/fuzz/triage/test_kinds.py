"""Kinds of failures that may be one defect: which come first, and what tells that they are about the same thing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from fuzz.engine.verdict import TOO_SHORT, CaseResult, FailureKey, PathVerdict, Ruling, Symptom
from fuzz.triage.kinds import NUMBERS, may_follow, root_of
from fuzz.triage.verify import QUANTIZE
from strategies import fields
from strategies.case import Case, Fill, FloatDType, Layout, Memory, Mode, StorageDType
from strategies.misuse import Misuse
from tests.fuzz.triage.planted import Plant
from tests.fuzz.triage.suspecting import key

LOST = key(symptom=Symptom.CONTEXT_LOST, how="CUDA error: misaligned address")
DIED = key(symptom=Symptom.PROCESS_DIED, how="SIGSEGV")
MISSING = key(symptom=Symptom.MISSING_ERROR)
STRIDED = fields.replace(Case(), "memory.weight", Memory.STRIDED)
SMALL_LOST = Plant("lost", lambda case: case.weight.in_features < 8, symptom=LOST.symptom, how=LOST.how)
IN_OUT = fields.replace(Case(), "weight.layout", Layout.IN_OUT)


def numbers(how: str) -> FailureKey:
    """A wrong number of a quantization."""
    return key(QUANTIZE, Symptom.WRONG_VALUE, how)


def range_of(how: str) -> FailureKey:
    """An intermediate result that leaves its range."""
    return key(symptom=Symptom.RANGE_DIVERGENCE, how=how)


def root(case: Case, of: FailureKey, *plants: Plant) -> tuple[Case, FailureKey] | None:
    """What is the root of a failure, by name."""

    def run(candidate: Case, asked: FailureKey) -> CaseResult:
        acting = [plant for plant in plants if asked.path in plant.paths and plant.condition(candidate)]
        symptom, how = (acting[0].symptom, acting[0].how) if acting else (None, "")
        verdict = PathVerdict(path=asked.path, surface=asked.surface, ruling=Ruling.VALID, source="a test", symptom=symptom, how=how)
        return CaseResult((verdict,))

    found = root_of(case, of, run)
    return None if found is None else (found[0], FailureKey.of(found[1]))


@pytest.mark.parametrize(
    ("one", "cause", "follows"),
    [
        (LOST, MISSING, True),
        (DIED, key(symptom=Symptom.OUT_OF_BOUNDS, how="packed"), True),
        (LOST, key(QUANTIZE, Symptom.WRONG_SHAPE, TOO_SHORT), True),
        (LOST, key(symptom=Symptom.WRONG_SHAPE), False),
        (LOST, DIED, False),
        (LOST, key(), False),
        (key(symptom=Symptom.HANG), MISSING, False),
        (MISSING, LOST, False),
        (key(), MISSING, False),
        (numbers("codes"), numbers("scales"), True),
        (numbers("scales"), numbers("codes"), False),
        (numbers("codes"), numbers("code table"), False),
        (numbers(""), numbers("scales"), False),
        (range_of("underflow"), range_of("overflow"), True),
        (range_of("overflow"), range_of("underflow"), False),
        (range_of("underflow"), key(how="overflow"), False),
    ],
)
def test_what_may_be_the_same_defect(one: FailureKey, cause: FailureKey, follows: bool) -> None:  # noqa: FBT001
    assert may_follow(one, cause) is follows


@pytest.mark.parametrize("one", [LOST, DIED, MISSING, *map(numbers, NUMBERS)])
def test_nothing_follows_itself(one: FailureKey) -> None:
    assert not may_follow(one, one)


def test_too_little_room_is_why_the_context_is_lost() -> None:
    """One element takes half a byte, which is no float16 at all, and a pointer to nothing."""

    def halved(case: Case) -> bool:
        return case.quantization.storage is StorageDType.FLOAT16

    lost = Plant("lost", lambda case: halved(case) and case.weight.elements <= 2, (QUANTIZE,), Symptom.CONTEXT_LOST)
    short = Plant("short", lambda case: halved(case) and case.weight.elements % 4 == 1, (QUANTIZE,), Symptom.WRONG_SHAPE, TOO_SHORT)
    case = fields.replace(Case(), "quantization.storage", StorageDType.FLOAT16)
    expected = (fields.replace(case, "weight.in_features", 65), key(QUANTIZE, Symptom.WRONG_SHAPE, TOO_SHORT))
    assert root(case, key(QUANTIZE, Symptom.CONTEXT_LOST), lost, short) == expected


def lets_through(condition: Callable[[Case], bool], *paths: str) -> Plant:
    """What should have been refused."""
    return Plant("let through", condition, paths or ("matmul_4bit",), Symptom.MISSING_ERROR)


def test_what_is_let_through_is_why_the_context_is_lost() -> None:
    lost = dataclasses.replace(SMALL_LOST, condition=lambda case: case.weight.layout is Layout.IN_OUT and case.weight.in_features < 8)
    through = lets_through(lambda case: case.weight.layout is Layout.IN_OUT)
    assert root(IN_OUT, LOST, lost, through) == (fields.replace(IN_OUT, "weight.in_features", 65), MISSING)


def test_what_is_let_through_for_another_reason_is_not() -> None:
    lost = dataclasses.replace(SMALL_LOST, condition=lambda case: case.weight.layout is Layout.IN_OUT and case.weight.in_features < 8)
    through = lets_through(lambda case: case.weight.in_features > 8)
    assert root(IN_OUT, LOST, lost, through) is None


def test_without_a_choice_nothing_tells() -> None:
    assert root(Case(), LOST, SMALL_LOST, lets_through(lambda case: case.weight.in_features > 8)) is None


def test_an_out_on_the_cpu_is_as_unchecked_as_one_of_another_shape() -> None:
    of = key("matmul_4bit_out", Symptom.CONTEXT_LOST)
    case = fields.replace(fields.replace(Case(), "execution.mode", Mode.OUT), "execution.misuse", Misuse.CPU_OUT)
    lost = Plant("lost", lambda case: case.execution.misuse is Misuse.CPU_OUT, (of.path,), Symptom.CONTEXT_LOST)
    through = lets_through(lambda case: case.execution.misuse is Misuse.OTHER_OUT, of.path)
    expected = (fields.replace(case, "execution.misuse", Misuse.OTHER_OUT), key(of.path, Symptom.MISSING_ERROR))
    assert root(case, of, lost, through) == expected
    assert root(case, of, lost) is None


HALF = fields.replace(fields.replace(Case(), "activation.dtype", FloatDType.FLOAT16), "activation.fill", Fill.TINY)


def test_where_small_products_underflow_large_ones_overflow() -> None:
    def lucky(case: Case) -> bool:
        return case.activation_dtype is FloatDType.FLOAT16 and case.activation.fill is Fill.HUGE and case.seed == 5

    over = Plant("over", lucky, symptom=Symptom.RANGE_DIVERGENCE, how="overflow")
    found = root(HALF, range_of("underflow"), over)
    assert found is not None
    assert found[1] == range_of("overflow")
    assert (found[0].activation.fill, found[0].seed) == (Fill.HUGE, 5)


def test_an_overflow_in_every_dtype_is_something_else() -> None:
    over = Plant("over", lambda case: case.activation.fill is Fill.HUGE, symptom=Symptom.RANGE_DIVERGENCE, how="overflow")
    assert root(HALF, range_of("underflow"), over) is None


@pytest.mark.parametrize("how", ["offset", "codes"])
def test_the_first_number_that_is_wrong_is_told(how: str) -> None:
    """A weight of which the strides are ignored: what is read is wrong, and first of all the scales."""

    def strided(case: Case) -> bool:
        return case.memory.weight is Memory.STRIDED

    case = fields.replace(STRIDED, "quantization.compress_statistics", value=how == "offset")
    shown = Plant("shown", lambda case: strided(case) and case.weight.fill is Fill.ONES, (QUANTIZE,), how=how)
    offset = Plant("offset", lambda case: strided(case) and case.quantization.compress_statistics, (QUANTIZE,), how="offset")
    scales = Plant("scales", strided, (QUANTIZE,), how="scales")
    found = root(case, numbers(how), shown, offset, scales)
    assert found is not None
    assert found[1] == numbers("scales")
    assert not found[0].quantization.compress_statistics
    assert root(found[0], numbers("scales"), shown, offset, scales) is None


def test_numbers_that_are_wrong_by_themselves_stay() -> None:
    nested = fields.replace(Case(), "quantization.compress_statistics", value=True)
    zeros = Plant("zeros", lambda case: case.quantization.compress_statistics, (QUANTIZE,), how="blocks of zeros")
    scales = Plant("scales", lambda case: case.memory.weight is Memory.STRIDED, (QUANTIZE,), how="scales")
    assert root(nested, numbers("blocks of zeros"), zeros, scales) is None
