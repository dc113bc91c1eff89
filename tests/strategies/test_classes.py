"""Classes of Cases: each Case has one in every field, what is excluded is never drawn, and the rest nearly all."""

from __future__ import annotations

from itertools import combinations

import pytest

from strategies import fields
from strategies.case import Case, Mode
from strategies.cases import cases, cases_in, misused_cases, related_cases, triton_cases, wrong_out_cases
from strategies.classes import CLASSES, EXCLUDED, ROW_CLASSES, SIZE_CLASSES, classes_of, pairs, row_class, size_class
from tests.strategies.helpers import BUSY, draw

DRAWS = 500
"""Of each strategy: far fewer than a run of five minutes draws on a GPU."""


@pytest.mark.parametrize(
    ("size", "wanted"),
    [(0, 0), (1, 1), (3, 2), (63, 2), (2, 3), (32, 3), (62, 3), (65, 4), (4097, 4), (66, 5), (80, 5), (64, 6), (96, 6), (4096, 6)],
)
def test_classes_of_sizes(size: int, wanted: int) -> None:
    assert size_class(size) == SIZE_CLASSES[wanted]


@pytest.mark.parametrize(("rows", "wanted"), [(0, 0), (1, 1), (2, 2), (4, 2), (5, 3), (16, 3), (17, 4), (64, 4), (65, 5), (10**6, 5)])
def test_classes_of_rows(rows: int, wanted: int) -> None:
    assert row_class(rows) == ROW_CLASSES[wanted]


@pytest.mark.parametrize("case", [Case(), BUSY])
def test_a_case_has_a_class_in_every_field(case: Case) -> None:
    found = classes_of(case)
    assert set(found) == set(CLASSES) == {*fields.CHOICES, *fields.SIZES}
    for name, value in found.items():
        assert value in CLASSES[name]


def test_pairs_are_in_order_and_leave_out_what_is_excluded() -> None:
    every = list(pairs())
    assert len(every) == len(set(every))
    assert all(one[0] < other[0] for one, other in every)
    left_out = sum(holds(first, second) for (one, other), holds in EXCLUDED.items() for first in CLASSES[one] for second in CLASSES[other])
    assert left_out > 0
    assert len(every) + left_out == sum(len(CLASSES[one]) * len(CLASSES[other]) for one, other in combinations(CLASSES, 2))
    assert all(one < other for one, other in EXCLUDED)


def test_nearly_every_pair_is_drawn_and_none_that_is_excluded() -> None:
    drawn = {
        pair
        for strategy in (cases(), related_cases(), misused_cases(), wrong_out_cases(), triton_cases(), *(cases_in(mode) for mode in Mode))
        for case in draw(strategy, DRAWS)
        for pair in combinations(sorted(classes_of(case).items()), 2)
    }
    possible = set(pairs())
    assert drawn <= possible
    assert {one for one, _ in possible} <= {one for one, _ in drawn}
    assert len(drawn) >= 0.9 * len(possible), sorted(possible - drawn)
