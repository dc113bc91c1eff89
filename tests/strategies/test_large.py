"""Large Cases: large enough to be worth it, small enough to be judged, and as odd as the small ones that they come from."""

from __future__ import annotations

import pytest
from hypothesis import find, settings
from hypothesis import strategies as st

from strategies import fields
from strategies.case import Case, Mode
from strategies.cases import cases, cases_in
from strategies.large import LARGEST, MOST_TERMS, ONE_IN, STEP, with_large
from strategies.shapes import MAX_DRAWN_ELEMENTS
from tests.strategies.helpers import draw

DRAWS = 800


@pytest.fixture(scope="module")
def drawn() -> list[tuple[Case, Case]]:
    """Cases before and after."""
    origin = st.shared(cases(), key="origin")
    return draw(st.tuples(origin, with_large(origin)), DRAWS)


def grown(one: tuple[Case, Case]) -> bool:
    return one[0] != one[1]


def test_one_in_eight_is_larger_and_no_other_is_changed(drawn: list[tuple[Case, Case]]) -> None:
    assert DRAWS / ONE_IN / 2 < sum(map(grown, drawn)) < DRAWS / ONE_IN * 1.5


def test_only_sizes_grow_and_stay_what_they_were_to_every_tile(drawn: list[tuple[Case, Case]]) -> None:
    for before, after in filter(grown, drawn):
        # Whether two dimensions are a trigger depends on the number of rows.
        assert all(fields.get(after, name) == fields.get(before, name) for name in fields.CHOICES)
        assert after.seed == before.seed
        for name in fields.SIZES:
            more = fields.get(after, name) - fields.get(before, name)
            assert more >= 0
            assert more % STEP == 0


def test_each_size_grows_and_some_weights_are_as_large_as_can_be(drawn: list[tuple[Case, Case]]) -> None:
    for name in fields.SIZES:
        assert any(fields.get(after, name) > fields.get(before, name) for before, after in drawn)
    elements = [after.weight.elements for _, after in drawn]
    assert max(elements) > 8 * MAX_DRAWN_ELEMENTS
    assert max(elements) <= LARGEST


def test_what_grows_can_be_judged(drawn: list[tuple[Case, Case]]) -> None:
    for _, after in filter(grown, drawn):
        rows, outputs, terms = after.activation.rows, after.weight.out_features, after.weight.in_features
        assert max(rows * outputs, rows * terms) <= LARGEST
        assert rows * outputs * terms <= MOST_TERMS


def test_an_empty_case_stays_empty(drawn: list[tuple[Case, Case]]) -> None:
    empty = [one for one in drawn if one[0].is_empty]
    assert empty
    assert not any(map(grown, empty))


def test_the_question_stays_the_same() -> None:
    assert {case.execution.mode for case in draw(with_large(cases_in(Mode.OPCHECK)), 50)} == {Mode.OPCHECK}


def test_the_minimal_draw_is_still_the_neutral_case() -> None:
    minimal = find(with_large(cases()), lambda _: True, settings=settings(max_examples=200, derandomize=True, database=None))
    assert minimal.weight.elements <= STEP
    assert fields.triggers(minimal) == {}
