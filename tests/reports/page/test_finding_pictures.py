"""Heat maps and shapes: what they show in words, and when there is none."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.engine.contract import Row
from fuzz.engine.judge import Question, judge_shape
from fuzz.engine.paths import BY_NAME
from fuzz.engine.verdict import Ruling
from reports.errors import MINIMAL, WORST, ErrorGrid
from reports.page.errors_picture import errors_picture, words
from reports.page.finding_pictures import pictures
from reports.page.shapes_picture import shapes_picture
from strategies.case import Activation, Case, Weight
from tests.fuzz.engine.helpers import FUSED
from tests.reports.helpers import GRID, finding, hostile
from tests.reports.page.test_pictures import svg
from tests.reports.page.test_pictures import words as texts

NUMBERS = ErrorGrid(shape=(2, 3), tile=(1, 1), ratios=((0.1, 0.2, 33.0), (1e7, None, 0.75)), wrong=("..x", "xx."))


def test_a_small_grid_has_its_numbers() -> None:
    shown = errors_picture(NUMBERS, "the minimal case")
    assert shown is not None
    assert {"0.1", "0.2", "33", "1e+07", "inf", "0.75"} <= texts(svg(shown))
    assert shown.caption.startswith("The minimal case. ")


def test_a_heat_map_is_told_in_words() -> None:
    shown = errors_picture(NUMBERS, "the minimal case")
    assert shown is not None
    assert shown.alt == (
        "Heat map of the minimal case: 2 x 3 numbers, 3 of 6 are wrong, within rows 0 to 1, columns 0 to 2. "
        "The largest error is no finite number."
    )
    assert words(GRID) == (
        "2 x 129 numbers in 2 x 43 tiles of 1 x 3, 2 of 86 are wrong, within rows 0 to 1, columns 126 to 128. "
        "The largest error is no finite number."
    )


def test_one_wrong_output_among_right_ones() -> None:
    grid = ErrorGrid(shape=(3, 5), tile=(2, 2), ratios=((0.5, 0.5, 0.5), (0.5, 0.5, 2.5)), wrong=("...", "..x"))
    assert words(grid) == (
        "3 x 5 numbers in 2 x 3 tiles of 2 x 2, 1 of 6 are wrong, within rows 2, columns 4. The largest error is 2.5 times the bound."
    )


def test_a_single_number_needs_no_picture() -> None:
    assert errors_picture(ErrorGrid(shape=(1, 1), tile=(1, 1), ratios=((7.0,),), wrong=("x",)), "it") is None


def test_the_largest_grid_is_a_small_picture() -> None:
    ratios = tuple(tuple(float(row * column) for column in range(64)) for row in range(16))
    shown = errors_picture(ErrorGrid(shape=(128, 4096), tile=(8, 64), ratios=ratios, wrong=("x" * 64,) * 16), "it")
    assert shown is not None
    assert len(shown.source) < 30_000


@settings(max_examples=20)
@given(st.integers(1, 5), st.integers(1, 70), st.data())
def test_every_grid_can_be_drawn(rows: int, columns: int, data: st.DataObject) -> None:
    ratio = st.none() | st.floats(0, 1e300)
    ratios = tuple(tuple(data.draw(st.lists(ratio, min_size=columns, max_size=columns))) for _ in range(rows))
    wrong = tuple("".join("x" if value is None or value > 1 else "." for value in row) for row in ratios)
    shown = errors_picture(ErrorGrid(shape=(rows, columns), tile=(1, 1), ratios=ratios, wrong=wrong), "it")
    assert (shown is None) == (rows * columns == 1)


@pytest.mark.parametrize(
    ("expected", "got", "alt"),
    [
        ("shape (64,)", "shape (1,)", "Expected shape (64,), got shape (1,)."),
        ("shape (2, 64)", "shape (64, 2)", "Expected shape (2, 64), got shape (64, 2)."),
        ("shape ()", "shape (1, 1, 1)", "Expected shape (), got shape (1, 1, 1)."),
    ],
)
def test_shapes_are_side_by_side(expected: str, got: str, alt: str) -> None:
    shown = shapes_picture(expected, got)
    assert shown is not None
    assert shown.alt == alt
    assert {"expected", "got", expected.removeprefix("shape "), got.removeprefix("shape ")} <= texts(svg(shown))


@pytest.mark.parametrize("shape", [(), (1,), (8,), (2, 3), (1, 2, 4), (0, 4)])
def test_shapes_are_read_as_a_verdict_writes_them(shape: tuple[int, ...]) -> None:
    case = Case(weight=Weight(out_features=4, in_features=3), activation=Activation(leading=(2,)))
    row = Row(ruling=Ruling.VALID, source="a document", when=lambda *_: True)
    verdict = judge_shape(Question(case, BY_NAME["matmul_4bit"], FUSED, row), torch.zeros(shape))
    assert verdict is not None
    shown = shapes_picture(verdict.expected, verdict.got)
    assert shown is not None
    assert shown.alt == f"Expected shape (2, 4), got shape {shape}."


@given(hostile | st.just("shape (1, )") | st.just("shape (9999999999,)"), hostile)
def test_what_is_no_shape_is_no_picture(expected: str, got: str) -> None:
    assert shapes_picture(expected, got) is None


def test_the_pictures_of_a_finding() -> None:
    shapes = finding(symptom="wrong shape", expected="shape (64,)", got="shape (1,)")
    assert [each.alt[:14] for each in pictures(shapes)] == ["Expected shape"]
    both = finding(errors={MINIMAL: NUMBERS, WORST: GRID})
    assert [each.alt.partition(":")[0] for each in pictures(both)] == [
        "Heat map of the minimal case",
        "Heat map of the case with the largest error",
    ]
    assert len(list(pictures(finding(errors={MINIMAL: GRID, WORST: GRID})))) == 1
    assert list(pictures(finding())) == []
