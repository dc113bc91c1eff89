"""The turn goes round in the order in which it was asked for."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fuzz.engine.turn import Turn


def needed() -> Turn:
    turn = Turn()
    turn.needed = True
    return turn


def test_it_is_free_at_first_and_again_when_it_was_given_back() -> None:
    turn = needed()
    for _ in range(2):
        ticket = turn.take()
        assert not turn.wanted
        turn.give_back(ticket)


def test_those_who_wait_have_it_in_order_and_one_at_a_time() -> None:
    turn, order = needed(), list[int]()

    def work(number: int) -> None:
        ticket = turn.take()
        order.append(number)
        time.sleep(0.01)
        order.append(number)
        turn.give_back(ticket)

    mine = turn.take()
    with ThreadPoolExecutor(max_workers=4) as pool:
        for number in range(4):
            pool.submit(work, number)
            while len(turn._queue) < number + 2:
                time.sleep(0.001)
        assert turn.wanted
        turn.give_back(mine)
    assert order == [0, 0, 1, 1, 2, 2, 3, 3]


def test_it_holds_nobody_up_until_it_is_needed() -> None:
    turn = Turn()
    tickets = [turn.take(), turn.take()]
    assert not turn.wanted
    for ticket in tickets:
        turn.give_back(ticket)


@pytest.mark.parametrize(
    ("seconds", "losses", "halts"),
    [
        (4.0, [2.0], 1),
        (4.0, [5.0, 2.0, 1.0], 1),
        (2.0, [1.0], 0),  # a Case that took its time
        (4.0, [5.0], 0),  # a loss before that Case
        (4.0, [], 0),
    ],
)
def test_a_case_that_takes_seconds_while_another_child_loses_its_context_was_halted(
    seconds: float, losses: list[float], halts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn, end, moments = Turn(), 100.0, list[float]()
    monkeypatch.setattr(time, "monotonic", lambda: moments.pop(0))
    for loss in losses:
        moments.append(end - loss)
        turn.lost()
    moments.append(end)
    turn.answered(end - seconds)
    assert turn.needed == bool(halts)
