"""Each of several strategies is drawn from as often as the others, whatever it is made of."""

from __future__ import annotations

from collections import Counter

from hypothesis import find, settings
from hypothesis import strategies as st

from fuzz.campaign.explore import explore
from strategies.evenly import evenly

DRAWS = 2000
PARTS = st.one_of(st.just("a"), st.just("b"), st.just("c")).map(lambda letter: 2 * letter)
CHOICES = evenly(st.just("plain"), PARTS)


def test_a_choice_of_choices_is_one_choice() -> None:
    drawn: list[str] = []

    def visit(word: str) -> bool:
        drawn.append(word)
        return len(drawn) < DRAWS

    explore(CHOICES, 1, visit)
    counts = Counter(drawn)
    assert set(counts) == {"plain", "aa", "bb", "cc"}
    assert 0.45 < counts["plain"] / DRAWS < 0.55


def test_it_shrinks_to_the_first() -> None:
    assert find(CHOICES, lambda _: True, settings=settings(derandomize=True, database=None)) == "plain"
