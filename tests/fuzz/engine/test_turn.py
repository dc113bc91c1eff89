"""The turn goes round in the order in which it was asked for."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from fuzz.engine.turn import Turn


def test_it_is_free_at_first_and_again_when_it_was_given_back() -> None:
    turn = Turn()
    for _ in range(2):
        ticket = turn.take()
        assert not turn.wanted
        turn.give_back(ticket)


def test_those_who_wait_have_it_in_order_and_one_at_a_time() -> None:
    turn, order = Turn(), list[int]()

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
