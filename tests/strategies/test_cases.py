"""What is drawn: every choice, the regions that matter in a healthy share, and the dullest Case first when shrinking."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import find, settings
from hypothesis.strategies import SearchStrategy

from fuzz.engine.dispatch import matmul_arms
from fuzz.oracle.arms import Arm
from strategies import fields
from strategies.activations import MAX_DRAWN_ROWS
from strategies.case import OUT_MEMORIES, Activation, Case, CudaStream, FloatDType, Layout, Layouts, Memory, Mode, Relation, Weight
from strategies.cases import MAX_DRAWN_SEED, cases, cases_in, misused_cases, related_cases, triton_cases, wrong_out_cases
from strategies.misuse import OF_OUT, OF_SHAPE_OR_DTYPE, Misuse
from strategies.shapes import MAX_DRAWN_ELEMENTS
from tests.fuzz.triage.emulated import FUSED as RULED
from tests.strategies.helpers import draw

DRAWS = 1500
ENOUGH = settings(max_examples=200, derandomize=True, database=None)


@pytest.fixture(scope="module")
def drawn() -> list[Case]:
    return draw(cases(), DRAWS)


@pytest.mark.parametrize("name", [name for name in fields.CHOICES if name not in (*fields.QUESTIONS, "memory.out")])
def test_every_choice_is_drawn_often(drawn: list[Case], name: str) -> None:
    counts = {value: sum(fields.get(case, name) == value for case in drawn) for value in fields.CHOICES[name]}
    assert min(counts.values()) >= DRAWS // 50, counts


def test_questions_are_left_to_strategies_of_their_own(drawn: list[Case]) -> None:
    assert {case.execution.relation for case in drawn} == {Relation.NONE}
    assert {case.execution.mode for case in drawn} == {Mode.CALL}
    assert {case.memory.out for case in drawn} == {Memory.CONTIGUOUS}


@pytest.mark.parametrize("name", fields.SIZES)
def test_each_size_is_zero_now_and_then_and_nothing_is_laid_out_then(drawn: list[Case], name: str) -> None:
    empty = [case for case in drawn if fields.get(case, name) == 0]
    assert DRAWS // 60 < len(empty) < DRAWS // 15
    assert all(case.is_empty for case in empty)
    assert {case.memory for case in empty} == {Layouts()}
    assert {fields.get(case, other) == 0 for case in empty for other in fields.SIZES if other != name} == {False}


def test_one_case_in_ten_is_empty(drawn: list[Case]) -> None:
    assert 0.05 < sum(case.is_empty for case in drawn) / DRAWS < 0.15


@pytest.mark.parametrize(
    "strategy", [related_cases(), misused_cases(), wrong_out_cases(), *(cases_in(mode) for mode in Mode if mode is not Mode.CALL)]
)
def test_other_questions_are_asked_of_cases_with_something_in_them(strategy: SearchStrategy[Case]) -> None:
    assert not any(case.is_empty for case in draw(strategy, 100))


@pytest.mark.parametrize("mode", Mode)
def test_a_mode_is_asked_of_any_case(mode: Mode) -> None:
    asked = draw(cases_in(mode), 20)
    assert {case.execution.mode for case in asked} == {mode}
    assert len(set(asked)) > 10


def test_one_plain_call_in_sixteen_is_made_on_a_side_stream_and_none_that_asks_something_else(drawn: list[Case]) -> None:
    assert 0.03 < sum(case.execution.stream is CudaStream.SIDE for case in drawn) / DRAWS < 0.1
    others = (related_cases(), misused_cases(), wrong_out_cases(), *(cases_in(mode) for mode in Mode if mode is not Mode.CALL))
    assert {case.execution.stream for strategy in others for case in draw(strategy, 30)} == {CudaStream.DEFAULT}


@pytest.mark.parametrize("mode", Mode)
def test_what_is_written_to_has_a_layout_where_something_is_handed_over(mode: Mode) -> None:
    asked = {case.memory.out for case in draw(cases_in(mode), 100)}
    assert asked == (set(OUT_MEMORIES) if mode is Mode.OUT else {Memory.CONTIGUOUS})


@pytest.mark.parametrize(("strategy", "mode"), [(misused_cases(), Mode.CALL), (wrong_out_cases(), Mode.OUT)])
def test_each_way_to_be_wrong_is_drawn_in_its_mode(strategy: SearchStrategy[Case], mode: Mode) -> None:
    wrong = draw(strategy, 300)
    assert {case.execution.mode for case in wrong} == {mode}
    assert {case.execution.misuse for case in wrong} == (OF_OUT if mode is Mode.OUT else set(Misuse) - OF_OUT - {Misuse.NONE})
    assert {case.memory for case in wrong} == {Layouts()}


def test_one_case_of_triton_in_eight_hands_over_what_its_shape_or_dtype_tells_of() -> None:
    asked = draw(triton_cases(), 600)
    assert {case.execution.mode for case in asked} == {Mode.TRITON}
    wrong = [case for case in asked if case.execution.misuse is not Misuse.NONE]
    assert 0.06 < len(wrong) / len(asked) < 0.25
    assert {case.execution.misuse for case in wrong} == OF_SHAPE_OR_DTYPE
    assert {case.memory for case in wrong} == {Layouts()}


def test_nothing_but_the_choices_is_drawn(drawn: list[Case]) -> None:
    for name, choices in fields.CHOICES.items():
        assert {fields.get(case, name) for case in drawn} <= set(choices)


@pytest.mark.parametrize(
    ("low", "high", "holds"),
    [
        pytest.param(0.30, 0.45, lambda case: case.activation.rows == 1, id="one row, where gemv lives"),
        pytest.param(0.50, 0.70, lambda case: case.weight.in_features % case.quantization.blocksize == 0, id="whole blocks"),
        pytest.param(0.05, 0.70, lambda case: case.weight.in_features % 64 != 0, id="no multiple of the matrix kernel's tile"),
        pytest.param(0.05, 0.60, lambda case: case.weight.elements % 2 == 1, id="a last byte with one element"),
        pytest.param(0.30, 0.70, lambda case: case.weight.layout is Layout.IN_OUT, id="in_out"),
        pytest.param(0.02, 0.50, lambda case: case.activation.rows > 32, id="many rows"),
        pytest.param(0.02, 0.50, lambda case: 3 < case.activation.rows <= 32, id="a few rows"),
        pytest.param(0.02, 0.60, lambda case: case.activation.rank == 1, id="rank 1"),
        pytest.param(0.05, 0.60, lambda case: case.activation.rank == 3, id="rank 3"),
        pytest.param(0.30, 0.95, lambda case: case.activation_dtype is case.weight.dtype, id="one dtype"),
        pytest.param(0.20, 0.80, lambda case: case.activation.dtype is None, id="an activation that follows its weight"),
        pytest.param(0.05, 0.60, lambda case: case.activation.dtype is case.weight.dtype, id="one that names the weight's dtype"),
        pytest.param(0.10, 0.70, lambda case: case.activation.rows > 1 and case.activation.rank == 2, id="a batch of rank 2"),
        pytest.param(0.02, 0.50, lambda case: case.activation.rows > 1 and case.activation.rank == 3, id="a batch of rank 3"),
        pytest.param(0.02, 0.50, lambda case: case.weight.in_features > 1024, id="more than one round of a warp"),
        pytest.param(0.10, 0.97, lambda case: case.weight.elements > case.quantization.blocksize, id="several blocks"),
        pytest.param(0.005, 0.50, lambda case: Arm.TENSOR_CORE in matmul_arms(case, RULED), id="tensor cores of an H200"),
        pytest.param(0.10, 0.99, lambda case: case.seed > 2, id="seeds"),
    ],
)
def test_regions_get_a_healthy_share(drawn: list[Case], low: float, high: float, holds: object) -> None:
    assert callable(holds)
    assert low <= sum(map(holds, drawn)) / len(drawn) <= high


def test_a_square_weight_is_drawn_in_both_layouts(drawn: list[Case]) -> None:
    square = [case for case in drawn if case.weight.in_features == case.weight.out_features]
    assert {case.weight.layout for case in square} == set(Layout)


def test_draws_are_small_enough_to_cost_milliseconds(drawn: list[Case]) -> None:
    assert max(case.weight.elements for case in drawn) <= MAX_DRAWN_ELEMENTS
    assert max(case.activation.rows for case in drawn) <= MAX_DRAWN_ROWS
    assert max(case.seed for case in drawn) <= MAX_DRAWN_SEED


def test_draws_differ(drawn: list[Case]) -> None:
    assert len(set(drawn)) > 0.9 * DRAWS


def test_the_minimal_draw_is_the_neutral_case() -> None:
    minimal = find(cases(), lambda _: True, settings=ENOUGH)
    assert minimal.weight.out_features == 1
    assert minimal.weight.in_features <= 64
    assert dataclasses.replace(minimal, weight=Weight()) == Case()
    assert dataclasses.replace(minimal.weight, in_features=1) == Weight()


def test_a_draw_shrinks_to_what_the_condition_needs() -> None:
    minimal = find(cases(), lambda case: case.bias and case.weight.layout is Layout.IN_OUT, settings=ENOUGH)
    assert fields.triggers(minimal) == {"bias": True, "weight.layout": "in_out"}
    assert minimal.activation == Activation()


def test_a_draw_shrinks_to_the_fewest_rows_and_dimensions() -> None:
    minimal = find(cases(), lambda case: case.activation.rows > 1, settings=ENOUGH)
    assert minimal.activation == Activation(leading=(2,))
    assert fields.triggers(minimal) == {}


def test_a_draw_shrinks_to_a_case_that_is_written_in_the_one_way() -> None:
    minimal = find(cases(), lambda case: case.activation_dtype is not FloatDType.FLOAT32, settings=ENOUGH)
    assert fields.canonical(minimal) == minimal


def test_drawing_needs_neither_torch_nor_bitsandbytes() -> None:
    code = "import sys, strategies.cases; sys.exit(any(name in sys.modules for name in ('torch', 'bitsandbytes', 'numpy')))"
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
