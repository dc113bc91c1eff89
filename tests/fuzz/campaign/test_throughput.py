"""Cases over time, as a bounded number of points."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from fuzz.campaign.throughput import FINEST, MOST, Throughput


def test_points_are_some_time_apart_and_the_last_one_is_now() -> None:
    throughput = Throughput()
    for step in range(1, 11):
        throughput.add(step * FINEST / 2, step)
    assert throughput.until(5.125, 11) == [[0.0, 0], [0.5, 2], [1.0, 4], [1.5, 6], [2.0, 8], [2.5, 10], [5.125, 11]]


def test_of_a_run_that_did_nothing_there_is_one_point() -> None:
    assert Throughput().until(0.0, 0) == [[0.0, 0]]


def test_a_long_run_is_told_in_coarser_steps_from_its_beginning_to_its_end() -> None:
    throughput = Throughput()
    for second in range(36_000):
        throughput.add(float(second), 10 * second)
    points = throughput.until(36_000.0, 360_000)
    assert MOST // 2 <= len(points) <= MOST + 1
    assert points[0] == [0.0, 0]
    steps = [after[0] - before[0] for before, after in itertools.pairwise(points)]
    assert max(steps) < 3 * 36_000 / MOST
    assert all(cases == 10 * seconds for seconds, cases in points)


@given(st.lists(st.floats(0, 1e6), max_size=2000).map(sorted))
def test_points_rise_and_are_bounded(times: list[float]) -> None:
    throughput = Throughput()
    for number, seconds in enumerate(times):
        throughput.add(seconds, number)
    points = throughput.until(1e6 + 1, len(times))
    assert len(points) <= MOST + 1
    assert points == sorted(points)
    assert len({seconds for seconds, _ in points}) == len(points)
