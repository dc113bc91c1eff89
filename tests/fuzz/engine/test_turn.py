"""The turn goes round in the order in which it was asked for."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fuzz.engine.child import PROJECT
from fuzz.engine.turn import Turn, name_of

OTHER = """
import sys, time
from pathlib import Path
from fuzz.engine.turn import Turn
turn, file = Turn(Path(sys.argv[1])), Path(sys.argv[2])
for _ in range(int(sys.argv[3])):
    ticket = turn.take()
    with file.open("a") as out:
        print(sys.argv[4], file=out, flush=True)
        time.sleep(float(sys.argv[5]))
        print(sys.argv[4], file=out, flush=True)
    turn.give_back(ticket)
"""
"""A process that has its turn some times, and writes its name when it begins and when it ends."""


@pytest.fixture
def others() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def other(folder: Path, name: str, times: int, seconds: float) -> subprocess.Popen[bytes]:
    arguments = [str(folder / "gpu"), str(folder / "out"), str(times), name, str(seconds)]
    return subprocess.Popen([sys.executable, "-c", OTHER, *arguments], cwd=PROJECT)


def wait_for(file: Path, lines: int) -> None:
    while not file.exists() or len(file.read_text().splitlines()) < lines:
        time.sleep(0.01)


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


def test_processes_have_it_one_at_a_time(tmp_path: Path, others: list[subprocess.Popen[bytes]]) -> None:
    others += [other(tmp_path, name, 10, 0.01) for name in "abc"]
    assert [process.wait(60) for process in others] == [0, 0, 0]
    lines = (tmp_path / "out").read_text().splitlines()
    assert lines[0::2] == lines[1::2]
    assert sorted(lines[0::2]) == 10 * ["a"] + 10 * ["b"] + 10 * ["c"]


def test_who_has_it_is_told_that_another_process_waits_which_then_has_it(tmp_path: Path, others: list[subprocess.Popen[bytes]]) -> None:
    turn = Turn(tmp_path / "gpu")
    ticket = turn.take()
    assert not turn.wanted
    others.append(other(tmp_path, "other", 1, 0.0))
    while not turn.wanted:
        time.sleep(0.01)
    assert not (tmp_path / "out").exists()
    turn.give_back(ticket)
    ticket = turn.take()
    assert (tmp_path / "out").read_text() == "other\nother\n", "whoever has just had it comes after those who wait"
    turn.give_back(ticket)


def test_a_process_that_dies_gives_it_back(tmp_path: Path, others: list[subprocess.Popen[bytes]]) -> None:
    others.append(other(tmp_path, "other", 1, 600.0))
    wait_for(tmp_path / "out", 1)
    others[0].kill()
    turn = Turn(tmp_path / "gpu")
    turn.give_back(turn.take())


@pytest.mark.parametrize(
    ("visible", "name"), [(None, "0"), ("", "0"), ("2,3", "2"), (" GPU-1a/../b ,1", "GPU-1a----b"), ("MIG-7", "MIG-7")]
)
def test_each_gpu_has_a_turn_of_its_own(visible: str | None, name: str, tmp_path: Path) -> None:
    file = name_of(visible, tmp_path)
    assert file.parent == tmp_path
    assert file.name.endswith(f"-gpu-{name}.turn")
