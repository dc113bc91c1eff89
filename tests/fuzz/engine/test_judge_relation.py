"""Verdicts on second calls: a right one passes, and each relation is reported when a kernel breaks it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from fuzz.engine.calls import Prepared
from fuzz.engine.guarded import OutOfBoundsError
from fuzz.engine.judge import Finished
from fuzz.engine.judge_relation import judge_relation
from fuzz.engine.relations import RULES
from fuzz.engine.verdict import FailureKey, PathVerdict, Ruling, Symptom
from fuzz.oracle.arms import Arm
from fuzz.oracle.codebooks import NF4
from strategies.case import Case, Execution, FloatDType, Quantization, Relation, Weight
from tests.fuzz.engine.faulty import FAULTY, SIMT
from tests.fuzz.engine.helpers import prepared_by_hand
from tests.fuzz.engine.subjects import (
    ON_ONE_DEVICE,
    one_changed,
    path_with,
    prepared_of,
    question_on,
    raising,
    related_case,
    returning,
    right,
)


def judged(prepared: Prepared, run: Callable[[Prepared], Finished], ruling: Ruling = Ruling.VALID) -> PathVerdict | None:
    """The verdict on the second call of a fused kernel whose first call was right."""
    return judge_relation(question_on(path_with(Arm.SIMT), prepared, ruling), SIMT(prepared), prepared, run)


def subject(relation: Relation, *, bias: bool = False) -> Prepared:
    return prepared_of(related_case(relation, bias=bias and relation is not Relation.ZERO_BIAS))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("relation", ON_ONE_DEVICE)
def test_a_right_second_call_is_no_finding(relation: Relation, bias: bool) -> None:  # noqa: FBT001
    assert judged(subject(relation, bias=bias), returning(SIMT)) is None


@pytest.mark.parametrize("relation", ON_ONE_DEVICE)
def test_the_second_call_is_given_the_relations_inputs_once(relation: Relation) -> None:
    prepared, calls = subject(relation), list[Prepared]()

    def run(second: Prepared) -> Finished:
        calls.append(second)
        return Finished(SIMT(second), None)

    assert judged(prepared, run) is None
    (second,) = calls
    assert (second is prepared) is (relation is Relation.RERUN)


@pytest.mark.parametrize("relation", ON_ONE_DEVICE)
def test_a_kernel_that_breaks_it_is_reported(relation: Relation) -> None:
    prepared, kernel = subject(relation), FAULTY[relation]()
    question = question_on(path_with(Arm.SIMT), prepared)
    verdict = judge_relation(question, kernel(prepared).reshape(prepared.case.output_shape), prepared, returning(kernel))
    assert verdict is not None
    assert (verdict.symptom, verdict.how) == (Symptom.BROKEN_RELATION, relation.value)
    assert verdict.ruling is Ruling.VALID
    assert RULES[relation].source in verdict.expected
    assert "outputs differ" in verdict.got
    assert PathVerdict.from_json(verdict.to_json()) == verdict


@pytest.mark.parametrize("relation", ON_ONE_DEVICE)
def test_one_unit_in_the_last_place_of_one_output_breaks_it(relation: Relation) -> None:
    verdict = judged(subject(relation, bias=True), returning(lambda second: one_changed(SIMT(second))))
    assert verdict is not None
    assert (verdict.symptom, verdict.how) == (Symptom.BROKEN_RELATION, relation.value)
    rows = 1 if relation is Relation.ROW_ALONE else 3
    place = (rows - 1, 5)
    assert f" at {place} ({RULES[relation].source})" in verdict.expected
    assert verdict.got.endswith(f" at {place}; 1 of {6 * rows} outputs differ")
    assert verdict.errors is not None
    assert verdict.errors.shape == (rows, 6)
    assert verdict.errors.wrong == ("......",) * (rows - 1) + (".....x",)
    largest = verdict.errors.ratios[rows - 1][5]
    assert largest is not None
    assert 1 < largest <= 4, "one unit in the last place, by halves of one"


def test_the_first_output_that_differs_is_shown() -> None:
    prepared = subject(Relation.RERUN)

    def spoilt(second: Prepared) -> torch.Tensor:
        result = SIMT(second).clone()
        result[1, 4], result[2, 0] = 99, 98
        return result

    verdict = judged(prepared, returning(spoilt))
    assert verdict is not None
    assert verdict.expected == f"{float(SIMT(prepared)[1, 4]):.9g} at (1, 4) ({RULES[Relation.RERUN].source})"
    assert verdict.got == "99 at (1, 4); 2 of 18 outputs differ"


def test_another_shape_of_as_many_elements_is_judged_by_its_numbers() -> None:
    prepared = subject(Relation.RERUN)
    assert judged(prepared, returning(lambda second: SIMT(second).flatten())) is None
    verdict = judged(prepared, returning(lambda second: one_changed(SIMT(second)).flatten()))
    assert verdict is not None
    assert "at (17,); 1 of 18" in verdict.got


@pytest.mark.parametrize("relation", [Relation.RERUN, Relation.ROW_ALONE, Relation.APPENDED_ZEROS])
def test_another_number_of_outputs_breaks_it(relation: Relation) -> None:
    verdict = judged(subject(relation), returning(lambda second: SIMT(second)[..., :-1]))
    assert verdict is not None
    assert (verdict.symptom, verdict.how) == (Symptom.BROKEN_RELATION, relation.value)
    rows = 1 if relation is Relation.ROW_ALONE else 3
    assert verdict.expected == f"({rows}, 6) ({RULES[relation].source})"
    assert verdict.got == f"shape ({rows}, 5)"


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (float("nan"), float("nan"), True),
        (float("inf"), float("inf"), True),
        (0.0, -0.0, True),
        (float("nan"), 1.0, False),
        (1.0, float("nan"), False),
        (float("inf"), float("-inf"), False),
        (float("inf"), float("nan"), False),
        (6e-8, 0.0, False),
    ],
)
def test_what_counts_as_the_same(first: float, second: float, same: bool) -> None:  # noqa: FBT001
    prepared = subject(Relation.RERUN)
    question = question_on(path_with(Arm.SIMT), prepared)
    result, again = (torch.full((3, 6), value).half() for value in (first, second))
    verdict = judge_relation(question, result, prepared, returning(lambda _: again))
    assert (verdict is None) is same


@pytest.mark.parametrize("relation", ON_ONE_DEVICE)
def test_an_exception_of_the_second_call_breaks_it(relation: Relation) -> None:
    verdict = judged(subject(relation), raising(ValueError("no such layout")))
    assert verdict is not None
    assert (verdict.symptom, verdict.how) == (Symptom.BROKEN_RELATION, relation.value)
    assert verdict.expected == f"a result, as from the first call ({RULES[relation].source})"
    assert verdict.got == "ValueError: no such layout"


def test_what_is_written_outside_of_the_output_breaks_it_too() -> None:
    verdict = judged(subject(Relation.RERUN), raising(OutOfBoundsError("0 elements before and 1 behind the output were written")))
    assert verdict is not None
    assert verdict.symptom is Symptom.BROKEN_RELATION
    assert verdict.got.startswith("OutOfBoundsError: 0 elements before and 1 behind")


def test_a_long_message_is_cut() -> None:
    verdict = judged(subject(Relation.RERUN), raising(ValueError("x" * 1000)))
    assert verdict is not None
    assert len(verdict.got) == 300


@pytest.mark.parametrize(
    "message",
    ["CUDA error: misaligned address", "CUDA error: an illegal memory access was encountered\nmore", "CUBLAS_STATUS_EXECUTION_FAILED"],
)
def test_a_device_error_of_the_second_call_loses_the_context(message: str) -> None:
    verdict = judged(subject(Relation.SIGN), raising(RuntimeError(message)))
    assert verdict is not None
    assert (verdict.symptom, verdict.how) == (Symptom.CONTEXT_LOST, message.splitlines()[0])
    assert verdict.got == message


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling")]
)
def test_running_out_of_memory_says_nothing(error: Exception) -> None:
    assert judged(subject(Relation.APPENDED_ZEROS), raising(error)) is None


@pytest.mark.parametrize("ruling", [Ruling.UNSPECIFIED, Ruling.INVALID])
def test_nothing_is_asked_of_a_case_that_is_not_valid(ruling: Ruling) -> None:
    assert judged(subject(Relation.RERUN), raising(AssertionError("was called")), ruling) is None


@pytest.mark.parametrize("arm", [Arm.LINEAR, Arm.DEQUANTIZE, Arm.CPU_BF16])
def test_no_second_call_is_made_where_the_relation_need_not_hold(arm: Arm) -> None:
    prepared = subject(Relation.PERMUTED_ROWS)
    question = question_on(path_with(arm), prepared)
    assert judge_relation(question, SIMT(prepared), prepared, raising(AssertionError("was called"))) is None


def test_no_second_call_is_made_for_a_case_without_a_relation() -> None:
    assert judged(subject(Relation.NONE), raising(AssertionError("was called"))) is None


def test_relations_that_are_broken_are_kinds_of_failures_of_their_own() -> None:
    keys = set()
    for relation in ON_ONE_DEVICE:
        verdict = judged(subject(relation), raising(ValueError("no")))
        assert verdict is not None
        keys.add(FailureKey.of(verdict))
    assert len(keys) == len(ON_ONE_DEVICE)


DOUBLINGS = [Relation.SCALED_ACTIVATION, Relation.SCALED_WEIGHT]
TINY = torch.finfo(torch.float16).tiny


@pytest.mark.parametrize("relation", ON_ONE_DEVICE)
def test_subnormal_outputs_are_left_out_where_numbers_are_doubled_and_nowhere_else(relation: Relation) -> None:
    result = torch.tensor([0.0, -TINY / 2, TINY * 2, -1.0, torch.inf]).half()
    comparable = RULES[relation].comparable(result).tolist()
    assert comparable == ([False, False, True, True, True] if relation in DOUBLINGS else [True] * 5)


@pytest.mark.parametrize("relation", DOUBLINGS)
@pytest.mark.parametrize(("first", "reported"), [(0.0, False), (TINY / 2, False), (-TINY / 4, False), (TINY * 2, True), (1.0, True)])
def test_a_doubled_output_is_judged_if_it_was_a_normal_number(relation: Relation, first: float, reported: bool) -> None:  # noqa: FBT001
    prepared = subject(relation)
    question = question_on(path_with(Arm.SIMT), prepared)
    result = torch.full((3, 6), 4.0).half()
    second = result * 2
    result[1, 2], second[1, 2] = first, 3 * first + 1
    verdict = judge_relation(question, result, prepared, returning(lambda _: second))
    assert (verdict is not None) is reported
    assert verdict is None or "at (1, 2); 1 of 18 outputs differ" in verdict.got


@pytest.mark.parametrize("relation", DOUBLINGS)
@pytest.mark.parametrize("arm", [Arm.LINEAR, Arm.TENSOR_CORE])
def test_doubling_holds_where_a_sum_is_rounded_up_to_the_smallest_normal_number(relation: Relation, arm: Arm) -> None:
    """2**-5 * (1 + 2**-10) * (1 - 2**-10) - (2**-5 - 2**-14) is 2**-14 - 2**-25, a tie that goes up to 2**-14."""
    x = torch.zeros(3, 64).half()
    x[0, 0], x[0, 32] = 2.0**-5 * (1 + 2.0**-10), -(2.0**-5 - 2.0**-14)
    case = Case(weight=Weight(dtype=FloatDType.FLOAT16), quantization=Quantization(blocksize=32), execution=Execution(relation=relation))
    prepared = prepared_by_hand(x, torch.full((1, 64), NF4.index(1.0)), torch.tensor([1 - 2.0**-10, 1.0]), case=case)
    prepared.state.code = torch.tensor(NF4)
    kernel = right(arm)
    assert float(kernel(prepared)[0, 0]) == TINY
    assert judge_relation(question_on(path_with(arm), prepared), kernel(prepared), prepared, returning(kernel)) is None
