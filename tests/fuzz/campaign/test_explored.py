"""What a run has explored, by bins."""

from __future__ import annotations

import dataclasses

import pytest

from fuzz.campaign.explored import Explored
from fuzz.engine.verdict import CaseResult, PathVerdict, Ruling, Symptom
from reports.space import ARMS, DTYPES, ROWS, SIZES, Space
from strategies.case import MAX_DIMENSION, Activation, Case, FloatDType, Weight

RIGHT = PathVerdict(path="matmul_4bit", surface="functional.matmul_4bit", ruling=Ruling.VALID, source="", arms=("linear",))
WRONG = dataclasses.replace(RIGHT, symptom=Symptom.WRONG_VALUE, arms=("simt", "tensor_core"))
NO_ARM = dataclasses.replace(RIGHT, path="quantize_4bit", arms=())


@pytest.mark.parametrize(("size", "digits"), [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (63, 6), (64, 7), (65, 7), (MAX_DIMENSION, 17)])
def test_a_bin_goes_from_a_power_of_two_up_to_its_double(size: int, digits: int) -> None:
    explored = Explored()
    explored.count(Case(weight=Weight(in_features=size)), CaseResult(()))
    assert explored.space().cases[SIZES] == {f"1,{digits}": 1}


def test_a_case_counts_once_and_each_verdict_by_its_kernels() -> None:
    explored = Explored()
    explored.count(Case(weight=Weight(out_features=5, in_features=64)), CaseResult((NO_ARM, RIGHT, RIGHT)))
    activation = Activation(leading=(3, 3), dtype=FloatDType.BFLOAT16)
    explored.count(Case(weight=Weight(out_features=7, in_features=100), activation=activation), CaseResult((RIGHT, WRONG)))
    assert explored.space() == Space(
        cases={
            SIZES: {"3,7": 2},
            ROWS: {"1": 1, "4": 1},
            DTYPES: {"float32": 1, "bfloat16": 1},
            ARMS: {"linear": 3, "simt or tensor_core": 1},
        },
        failed={SIZES: {"3,7": 1}, ROWS: {"4": 1}, DTYPES: {"bfloat16": 1}, ARMS: {"simt or tensor_core": 1}},
    )


def test_nothing_was_explored() -> None:
    assert Explored().space() == Space()
