"""Which Cases are kept for the profiler."""

from __future__ import annotations

import dataclasses

import pytest

from fuzz.campaign.witnesses import Witnesses
from fuzz.engine.verdict import CaseResult, PathVerdict, Ruling, Symptom
from fuzz.oracle.arms import Arm
from strategies import fields
from strategies.case import Case, FloatDType, Mode, QuantType

VERDICT = PathVerdict(path="matmul_4bit", surface="functional.matmul_4bit", ruling=Ruling.VALID, source="", arms=("linear",))
FAILING = dataclasses.replace(VERDICT, path="gemv_4bit", symptom=Symptom.WRONG_VALUE)


def kept(*cases: Case, arm: Arm = Arm.LINEAR) -> list[Case]:
    witnesses = Witnesses()
    for case in cases:
        witnesses.meet(case, CaseResult((dataclasses.replace(VERDICT, arms=(arm.value,)),)))
    return witnesses.take()


def changed(name: str, value: object, case: Case = Case()) -> Case:  # noqa: B008 - it is frozen
    return fields.replace(case, name, value)


@pytest.mark.parametrize(
    "other",
    [
        changed("weight.dtype", FloatDType.BFLOAT16),
        changed("quantization.quant_type", QuantType.FP4),
        changed("quantization.blocksize", 4096),
        changed("quantization.compress_statistics", value=True),
        changed("activation.dtype", FloatDType.FLOAT16),
    ],
)
def test_what_decides_on_a_kernel_is_kept_once(other: Case) -> None:
    assert kept(Case(), other, Case(), changed("seed", 2, other), changed("seed", 3)) == [Case(), other]


def test_the_sizes_count_where_one_kernel_is_for_some_of_them_and_another_for_others() -> None:
    rows = [changed("activation.leading", (count,)) for count in (1, 2, 7, 8, 9, 15, 16)]
    assert kept(*rows, arm=Arm.LINEAR) == rows[:1]
    assert kept(*rows, arm=Arm.SIMT) == [*rows[:5], rows[6]], "each up to 8, then 9 to 15 and 16 to 31"
    wide = changed("weight.out_features", 100)
    terms = changed("weight.in_features", 256, wide)
    assert kept(Case(), wide, terms, arm=Arm.SIMT) == [Case()]
    assert kept(Case(), wide, terms, changed("weight.out_features", 120, wide), arm=Arm.TENSOR_CORE) == [Case(), wide, terms]


def test_each_arm_of_a_case_counts_and_a_case_is_kept_once() -> None:
    witnesses = Witnesses()
    witnesses.meet(Case(), CaseResult((VERDICT,)))
    witnesses.meet(Case(seed=1), CaseResult((VERDICT, dataclasses.replace(VERDICT, arms=("simt", "gemv")))))
    assert witnesses.take() == [Case(), Case(seed=1)]


def test_what_fails_is_no_witness_nor_is_another_mode() -> None:
    witnesses = Witnesses()
    witnesses.meet(Case(), CaseResult((VERDICT, FAILING)))
    witnesses.meet(fields.replace(Case(), "execution.mode", Mode.GRAPH), CaseResult((VERDICT,)))
    assert witnesses.take() == []
    witnesses.meet(Case(), CaseResult((VERDICT,)))
    assert witnesses.take() == [Case()], "and what was left out may come later"


def test_taken_is_taken() -> None:
    witnesses = Witnesses()
    witnesses.meet(Case(), CaseResult((VERDICT,)))
    assert witnesses.take() == [Case()]
    witnesses.meet(Case(), CaseResult((VERDICT,)))
    assert witnesses.take() == []
