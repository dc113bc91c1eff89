"""Reduction: true minima, few trials, and the best so far when time is up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.triage.reduce import OutOfTime, reduce_case
from strategies import fields
from strategies.case import (
    Activation,
    Case,
    CaseError,
    Execution,
    Fill,
    FloatDType,
    Layout,
    PackedView,
    Quantization,
    QuantType,
    StorageDType,
    Weight,
)
from strategies.cases import cases
from strategies.misuse import ALIKE, Misuse

BUSY = Case(
    weight=Weight(out_features=300, in_features=1001, layout=Layout.IN_OUT, dtype=FloatDType.BFLOAT16, fill=Fill.CANCELLING),
    quantization=Quantization(quant_type=QuantType.FP4, blocksize=1024, compress_statistics=True, storage=StorageDType.FLOAT32),
    packed=PackedView.TRANSPOSED,
    activation=Activation(leading=(4, 33), dtype=FloatDType.FLOAT16, fill=Fill.HEAVY_TAILED),
    bias=True,
    execution=Execution(grad=True),
    seed=777,
)
"""Nothing is neutral."""

Fails = Callable[[Case], bool]


def simpler(case: Case) -> Iterator[Case]:
    """Every Case that is one step simpler: a choice set to a duller value, or a size above one made smaller by one."""
    changes: list[tuple[str, Any]] = []
    for name in fields.CHOICES:
        changes += [(name, value) for value in fields.duller(name, fields.get(case, name))]
    changes += [(name, fields.get(case, name) - 1 or 1) for name in fields.DIMENSIONS]
    leading = case.activation.leading
    changes += [("activation.leading", (*leading[:at], size - 1 or 1, *leading[at + 1 :])) for at, size in enumerate(leading)]
    changes += [("activation.leading", ())] if leading else []
    changes += [("seed", 0)] if case.seed else []
    for name, value in changes:
        try:
            candidate = fields.replace(case, name, value)
        except CaseError:
            continue
        if candidate != case:
            yield candidate


def assert_minimal(case: Case, fails: Fails) -> None:
    assert fails(case)
    for candidate in simpler(case):
        assert not fails(candidate), f"{case} can be simplified to {candidate}"


def with_weight(**changes: Any) -> Case:
    return Case(weight=Weight(**changes))


def with_quantization(**changes: Any) -> Case:
    return Case(quantization=Quantization(**changes))


MINIMA: dict[str, tuple[Fails, Case]] = {
    "anything": (lambda _: True, Case()),
    "a wide row": (lambda case: case.weight.in_features >= 100, with_weight(in_features=100)),
    "the same width": (lambda case: case.weight.in_features == 1001, with_weight(in_features=1001)),
    "no multiple of 64": (lambda case: case.weight.in_features % 64 != 0, Case()),
    "even": (lambda case: case.weight.out_features % 2 == 0, with_weight(out_features=2)),
    "odd and not small": (
        lambda case: case.weight.in_features % 2 == 1 and case.weight.in_features >= 37,
        with_weight(in_features=37),
    ),
    "no multiple of 64 beyond the first": (
        lambda case: case.weight.in_features % 64 != 0 and case.weight.in_features > 64,
        with_weight(in_features=65),
    ),
    "several blocks": (
        lambda case: case.weight.in_features > case.quantization.blocksize or case.weight.elements > 1024,
        with_weight(in_features=65),
    ),
    "a row that its blocks do not divide": (
        lambda case: case.weight.in_features % case.quantization.blocksize != 0 and case.weight.out_features > 1,
        with_weight(out_features=2),
    ),
    "33 rows": (lambda case: case.activation.rows >= 33, Case(activation=Activation(leading=(33,)))),
    "more than one row": (lambda case: case.activation.rows > 1, Case(activation=Activation(leading=(2,)))),
    "rank 3": (lambda case: case.activation.rank == 3, Case(activation=Activation(leading=(1, 1)))),
    "rank 3 with rows": (
        lambda case: case.activation.rank == 3 and case.activation.leading[1] >= 5,
        Case(activation=Activation(leading=(1, 5))),
    ),
    "as high as wide before it is stored": (
        lambda case: case.weight.stored_shape[0] > case.weight.stored_shape[1],
        with_weight(out_features=2),
    ),
    "in_out": (lambda case: case.weight.layout is Layout.IN_OUT, with_weight(layout=Layout.IN_OUT)),
    "in_out and not square": (
        lambda case: case.weight.layout is Layout.IN_OUT and case.weight.in_features > case.weight.out_features,
        with_weight(layout=Layout.IN_OUT, in_features=2),
    ),
    "a transposed view of in_out": (
        lambda case: case.weight.layout is Layout.IN_OUT and case.packed is PackedView.TRANSPOSED,
        Case(weight=Weight(layout=Layout.IN_OUT), packed=PackedView.TRANSPOSED),
    ),
    "a large block": (lambda case: case.quantization.blocksize >= 512, with_quantization(blocksize=512)),
    "16 bits": (
        lambda case: case.weight.dtype is not FloatDType.FLOAT32,
        Case(weight=Weight(dtype=FloatDType.FLOAT16), activation=Activation(dtype=FloatDType.FLOAT32)),
    ),
    "an activation of 16 bits": (
        lambda case: case.activation_dtype is not FloatDType.FLOAT32,
        Case(activation=Activation(dtype=FloatDType.FLOAT16)),
    ),
    "both of 16 bits": (
        lambda case: case.activation_dtype is case.weight.dtype is FloatDType.BFLOAT16,
        with_weight(dtype=FloatDType.BFLOAT16),
    ),
    "a part of a block": (
        lambda case: case.weight.in_features % 16 == 0 and case.weight.in_features % case.quantization.blocksize != 0,
        with_weight(in_features=16),
    ),
    "a row of five and a half blocks": (
        lambda case: case.weight.in_features * 2 == case.quantization.blocksize * 11,
        with_weight(in_features=352),
    ),
    "not the first storage": (
        lambda case: case.quantization.storage.itemsize == 4 and case.quantization.compress_statistics,
        with_quantization(storage=StorageDType.FLOAT32, compress_statistics=True),
    ),
    "numbers that are not all alike": (lambda case: case.weight.fill is not Fill.ONES, with_weight(fill=Fill.ONE_HOT)),
    "random numbers of a seed": (
        lambda case: case.activation.fill in {Fill.NORMAL, Fill.INTEGERS, Fill.HEAVY_TAILED} and case.seed >= 2,
        Case(activation=Activation(fill=Fill.INTEGERS), seed=2),
    ),
    "two dtypes": (
        lambda case: case.activation_dtype is FloatDType.FLOAT16 and case.weight.dtype is FloatDType.BFLOAT16,
        Case(weight=Weight(dtype=FloatDType.BFLOAT16), activation=Activation(dtype=FloatDType.FLOAT16)),
    ),
    "bias, statistics and size": (
        lambda case: case.bias and case.quantization.compress_statistics and case.weight.in_features >= 65 and case.activation.rows >= 4,
        Case(
            weight=Weight(in_features=65),
            quantization=Quantization(compress_statistics=True),
            activation=Activation(leading=(4,)),
            bias=True,
        ),
    ),
    "grad or bias": (lambda case: case.execution.grad or case.bias, Case(bias=True)),
}
START = {
    "even": fields.replace(BUSY, "weight.out_features", 298),
    "both of 16 bits": fields.replace(BUSY, "activation.dtype", FloatDType.BFLOAT16),
    "a part of a block": fields.replace(BUSY, "weight.in_features", 1040),
    "a row of five and a half blocks": fields.replace(BUSY, "weight.in_features", 5632),
}


@pytest.mark.parametrize("name", MINIMA)
def test_the_minimum(name: str) -> None:
    fails, minimum = MINIMA[name]
    reduction = reduce_case(START.get(name, BUSY), fails)
    assert reduction.case == minimum
    assert reduction.finished
    assert reduction.trials < 200
    assert_minimal(reduction.case, fails)


@pytest.mark.parametrize("name", MINIMA)
def test_reducing_again_changes_nothing(name: str) -> None:
    fails, _ = MINIMA[name]
    once = reduce_case(START.get(name, BUSY), fails).case
    again = reduce_case(once, fails)
    assert again.case == once
    assert again.finished


def test_a_product_of_dimensions() -> None:
    fails: Fails = lambda case: case.weight.elements >= 4096  # noqa: E731
    reduction = reduce_case(BUSY, fails)
    assert_minimal(reduction.case, fails)
    assert reduction.case.weight.elements < 2 * 4096
    assert reduction.trials < 200


def test_a_call_that_is_wrong_in_one_way_is_not_reduced_to_one_that_is_wrong_in_another() -> None:
    start = Case(execution=Execution(misuse=Misuse.SHORT_ABSMAX), bias=True)
    reduced = reduce_case(start, lambda case: case.execution.misuse is not Misuse.NONE)
    assert reduced.case == Case(execution=Execution(misuse=Misuse.SHORT_ABSMAX))


@pytest.mark.parametrize("family", ALIKE, ids=lambda family: family[0].value)
def test_calls_that_one_missing_check_lets_through_are_reduced_to_the_same_one(family: tuple[Misuse, ...]) -> None:
    for misuse in family:
        reduced = reduce_case(Case(execution=Execution(misuse=misuse)), lambda case: case.execution.misuse is not Misuse.NONE)
        assert reduced.case.execution.misuse is family[0]


@pytest.mark.parametrize("sizes", [(0, 5), (0, 64), (7, 0)])
@pytest.mark.parametrize("layout", Layout)
def test_a_weight_without_elements_has_empty_rows(layout: Layout, sizes: tuple[int, int]) -> None:
    start = Case(weight=Weight(out_features=sizes[0], in_features=sizes[1], layout=layout))
    assert reduce_case(start, lambda case: case.is_empty).case == Case(weight=Weight(in_features=0))


@pytest.mark.parametrize("storage", [storage for storage in StorageDType if storage is not StorageDType.UINT8])
def test_a_failure_about_elements_of_the_packed_weight_is_shown_with_bytes(storage: StorageDType) -> None:
    start = Case(weight=Weight(in_features=4 * storage.itemsize), quantization=Quantization(storage=storage))
    reduced = reduce_case(start, lambda case: case.weight.elements == 4 * case.quantization.storage.itemsize)
    assert reduced.case == Case(weight=Weight(in_features=4))


def test_no_rows_stay_where_empty_ones_do_not_fail() -> None:
    start = Case(weight=Weight(out_features=0, in_features=7))
    assert reduce_case(start, lambda case: case.weight.out_features == 0).case == Case(weight=Weight(out_features=0))


def test_a_duller_fill_that_hides_the_failure_does_not_hold_on_to_the_layout() -> None:
    """Where no two numbers are alike the failure shows in either layout; where few are not, in one of them only."""
    start = fields.replace(BUSY, "weight.fill", Fill.ONE_HOT)

    def fails(case: Case) -> bool:
        return case.weight.fill is Fill.NORMAL or (case.weight.fill is Fill.ONE_HOT and case.weight.layout is Layout.IN_OUT)

    assert reduce_case(start, fails).case == with_weight(fill=Fill.NORMAL)


def test_no_case_is_tried_twice_nor_the_first_one_again() -> None:
    tried: list[Case] = []

    def fails(case: Case) -> bool:
        tried.append(case)
        return case.weight.in_features >= 77 and case.activation.rows >= 3

    reduction = reduce_case(BUSY, fails)
    assert BUSY not in tried
    assert len(tried) == len(set(tried)) == reduction.trials


def test_the_neutral_case_needs_few_trials() -> None:
    reduction = reduce_case(Case(), lambda _: True)
    assert reduction.case == Case()
    assert reduction.trials <= 2


@pytest.mark.parametrize("trials", [0, 1, 5, 20, 40])
def test_out_of_time_keeps_the_best_so_far(trials: int) -> None:
    best = BUSY
    left = trials

    def fails(case: Case) -> bool:
        nonlocal best, left
        if not left:
            raise OutOfTime
        left -= 1
        if case.weight.in_features >= 100 and case.bias:
            best = case
            return True
        return False

    reduction = reduce_case(BUSY, fails)
    assert not reduction.finished
    assert reduction.case == best


def test_another_exception_of_the_predicate_comes_through() -> None:
    def fails(_: Case) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        reduce_case(BUSY, fails)


def test_the_largest_case_is_reduced_in_few_trials() -> None:
    largest = Case(weight=Weight(out_features=2**8, in_features=2**16))
    reduction = reduce_case(largest, lambda case: case.weight.in_features >= 54_321)
    assert reduction.case == with_weight(in_features=54_321)
    assert reduction.finished
    assert reduction.trials < 200


def test_a_large_batch_is_reduced_to_the_end() -> None:
    """Rows are not drawn beyond 130, but a Case file may have more."""
    fails: Fails = lambda case: case.activation.rows >= 4321  # noqa: E731
    reduction = reduce_case(Case(activation=Activation(leading=(60_000,))), fails)
    assert reduction.case == Case(activation=Activation(leading=(4321,)))
    assert reduction.finished


@dataclass(frozen=True)
class Condition:
    """A conjunction that holds for the Case it was made from."""

    equal: tuple[tuple[str, Any], ...]
    at_least: tuple[tuple[str, int], ...]
    modulo: int
    remainder: int

    def __call__(self, case: Case) -> bool:
        return (
            all(fields.get(case, name) == value for name, value in self.equal)
            and all(_measure(case, name) >= bound for name, bound in self.at_least)
            and case.weight.in_features % self.modulo == self.remainder
        )


def _measure(case: Case, name: str) -> int:
    measures = {
        "rows": case.activation.rows,
        "rank": case.activation.rank,
        "elements": case.weight.elements,
        "stored": case.weight.stored_shape[0],
    }
    return measures[name] if name in measures else int(fields.get(case, name))


@st.composite
def conditions(draw: st.DrawFn) -> tuple[Case, Condition]:
    """A Case and a condition that it fulfils."""
    case = draw(cases())
    names = draw(st.sets(st.sampled_from(list(fields.CHOICES)), max_size=4))
    measured = draw(st.sets(st.sampled_from(["rows", "rank", "elements", "stored", *fields.DIMENSIONS]), max_size=3))
    modulo = draw(st.sampled_from([1, 1, 1, 2, 3, 32, 64, 100]))
    return case, Condition(
        equal=tuple((name, fields.get(case, name)) for name in sorted(names)),
        at_least=tuple((name, draw(st.integers(min(1, _measure(case, name)), _measure(case, name)))) for name in sorted(measured)),
        modulo=modulo,
        remainder=case.weight.in_features % modulo,
    )


@given(conditions())
def test_whatever_the_condition_the_result_fails_and_nothing_simpler_does(drawn: tuple[Case, Condition]) -> None:
    case, fails = drawn
    reduction = reduce_case(case, fails)
    assert reduction.finished
    assert_minimal(reduction.case, fails)
    assert reduction.trials < 300
