"""The search: reproducible, endless, and stopped by its caller only."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fuzz.campaign import explore as module
from fuzz.campaign.explore import explore
from strategies import fields
from strategies.case import Case
from strategies.cases import cases

ROOT = Path(__file__).resolve().parents[3]
CASES = cases()


def first(count: int, seed: int, strategy: SearchStrategy[Case] = CASES) -> list[Case]:
    """The first `count` Cases of a search."""
    seen: list[Case] = []

    def visit(case: Case) -> bool:
        seen.append(case)
        return len(seen) < count

    explore(strategy, seed, visit)
    return seen


@pytest.fixture
def short_slices(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(module, "_SETTINGS", settings(module._SETTINGS, max_examples=10))
    return 10


def test_equal_seeds_draw_equal_cases() -> None:
    assert first(60, 7) == first(60, 7)


def test_other_seeds_draw_other_cases() -> None:
    one, other = set(first(60, 7)), set(first(60, 8))
    assert len(one - other) > 50


def test_cases_do_not_repeat() -> None:
    assert len(set(first(1000, 1))) == 1000


def test_a_case_is_no_more_like_the_one_before_than_like_any_other() -> None:
    """Examples that repeat parts of others visit the corners of some seeds only."""

    def alike(distance: int) -> float:
        pairs = zip(seen, seen[distance:], strict=False)
        return float(
            statistics.mean(sum(fields.get(one, name) == fields.get(other, name) for name in fields.CHOICES) for one, other in pairs)
        )

    seen = first(1000, 1)
    assert alike(1) == pytest.approx(alike(101), rel=0.02)


@pytest.mark.parametrize("count", [1, 2, 17])
def test_it_stops_at_once_when_visit_says_so(count: int) -> None:
    assert len(first(count, 3)) == count


def test_it_goes_on_beyond_a_slice_with_other_cases(short_slices: int) -> None:
    seen = first(5 * short_slices, 4)
    assert len(seen) == 5 * short_slices
    assert len(set(seen)) > 3 * short_slices
    assert first(5 * short_slices, 4) == seen


@pytest.mark.usefixtures("short_slices")
def test_a_strategy_that_is_used_up_is_drawn_from_again() -> None:
    assert first(30, 5, st.just(Case())) == [Case()] * 30
    assert set(first(50, 5, st.integers(0, 2).map(lambda seed: Case(seed=seed)))) == {Case(seed=0), Case(seed=1), Case(seed=2)}


@pytest.mark.parametrize("after", [1, 25])
@pytest.mark.usefixtures("short_slices")
def test_an_interrupt_by_the_user_comes_through(after: int) -> None:
    seen: list[Case] = []

    def visit(case: Case) -> bool:
        seen.append(case)
        if len(seen) == after:
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt) as caught:
        explore(cases(), 6, visit)
    assert type(caught.value) is KeyboardInterrupt
    assert len(seen) == after


def test_one_search_inside_another_ends_only_itself() -> None:
    inner: list[Case] = []

    def visit(_: Case) -> bool:
        inner.extend(first(2, 1))
        return len(inner) < 6

    explore(cases(), 2, visit)
    assert len(inner) == 6


_PRINT_FIRST = """
import json, sys
from fuzz.campaign.explore import explore
from strategies.cases import cases

seen = []

def visit(case):
    seen.append(case.to_json())
    return len(seen) < 40

explore(cases(), int(sys.argv[1]), visit)
print(json.dumps(seen))
"""


def test_in_continuous_integration_two_seeds_still_differ_and_one_repeats() -> None:
    """Hypothesis derandomizes its default profile under CI=true, whatever the seed."""
    outputs = [
        subprocess.run(
            [sys.executable, "-c", _PRINT_FIRST, str(seed)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "CI": "true"},
            check=True,
        ).stdout
        for seed in (1, 2, 1)
    ]
    assert len(outputs[0]) > 1000
    assert outputs[0] == outputs[2]
    assert outputs[0] != outputs[1]
