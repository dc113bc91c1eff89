"""Several properties in one search: each gets its share, and each Case says for whom it was drawn."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import strategies as st

from fuzz.campaign.explore import explore
from fuzz.campaign.mixture import Drawn, Property, mixed, reachable_on
from strategies.case import Case, CudaStream, Execution

SEEDS = st.integers(0, 1_000_000)


def drawn(properties: list[Property], count: int) -> list[Drawn]:
    seen: list[Drawn] = []

    def visit(one: Drawn) -> bool:
        seen.append(one)
        return len(seen) < count

    explore(mixed(properties), 3, visit)
    return seen


def test_each_case_says_for_whom_it_was_drawn() -> None:
    plain = Property("plain", SEEDS.map(lambda seed: Case(seed=seed)))
    biased = Property("biased", SEEDS.map(lambda seed: Case(seed=seed, bias=True)))
    seen = drawn([plain, biased], 100)
    assert {(one.property, one.case.bias) for one in seen} == {("plain", False), ("biased", True)}


@pytest.mark.parametrize(("shares", "least", "most"), [((1, 1), 0.4, 0.6), ((4, 1), 0.7, 0.9)])
def test_shares_are_kept(shares: tuple[int, int], least: float, most: float) -> None:
    properties = [Property(str(number), SEEDS.map(lambda seed: Case(seed=seed)), share) for number, share in enumerate(shares)]
    counts = Counter(one.property for one in drawn(properties, 1000))
    assert least <= counts["0"] / 1000 <= most


def test_a_property_of_gpus_is_left_out_on_a_cpu_and_the_others_draw_what_means_something_there() -> None:
    on_side = st.just(Case(execution=Execution(stream=CudaStream.SIDE)))
    properties = [Property("any", on_side, 3), Property("gpu", on_side, cuda=True)]
    assert reachable_on("cuda", properties) == properties
    (left,) = reachable_on("cpu", properties)
    assert (left.name, left.share) == ("any", 3)
    assert {one.case for one in drawn([left], 3)} == {Case()}
