"""What a controller tells its workers, and what they make of it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fuzz import distributed
from fuzz.distributed import MAX_SEED, cases_of, instruct, only_fuzzes, release, runs_all, seed_of, spent_of, takes_place, workers_of
from fuzz.placement import THREADS, VISIBLE

PROJECT = Path(__file__).resolve().parents[2]


@dataclass
class Parameters:
    dir: Path = PROJECT


class Config:
    """As much of pytest's as is asked here."""

    def __init__(self, *args: str, **options: Any) -> None:
        self.args, self.stash, self.invocation_params = args or ("fuzz/",), pytest.Stash(), Parameters()
        self.option = SimpleNamespace(**{"fuzz_seed": None, "fuzz_device": "cpu", **options})

    def getoption(self, name: str) -> Any:
        return getattr(self.option, name.removeprefix("--").replace("-", "_"))


@dataclass
class Node:
    config: Any
    workerinput: dict[str, Any] = field(default_factory=dict)


def started(config: Any, name: str, count: int = 4) -> Node:
    node = Node(config, {"workerid": name, "workercount": count, "testrunuid": "a"})
    instruct(node)
    return node


def worker(node: Node) -> Any:
    """The configuration in a worker: the controller's options, and what it was told."""
    config = Config(**vars(node.config.option))
    config.workerinput = node.workerinput  # type: ignore[attr-defined]
    return config


def test_each_worker_has_a_seed_of_its_own_that_follows_from_the_controller_s() -> None:
    config = Config(fuzz_seed=7)
    assert [seed_of(worker(started(config, f"gw{index}"))) for index in (0, 1, 12)] == [7, 8, 19]
    assert seed_of(worker(started(Config(fuzz_seed=MAX_SEED - 1), "gw1"))) == 0


def test_a_seed_that_nobody_gave_is_the_same_for_all() -> None:
    config: Any = Config()
    first, second = (seed_of(worker(started(config, name))) for name in ("gw0", "gw1"))
    assert second == (first + 1) % MAX_SEED
    assert seed_of(config) == first


def test_all_workers_have_used_up_the_same_part_of_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    config = Config()
    first = worker(started(config, "gw0"))
    monkeypatch.setattr(time, "time", lambda: now + 30)
    late = worker(started(config, "gw4"))
    assert spent_of(first) == spent_of(late) == pytest.approx(30)
    assert spent_of(Config()) == 0.0  # type: ignore[arg-type]


def test_a_number_of_cases_is_shared_out() -> None:
    config = Config()
    nodes = [worker(started(config, f"gw{index}")) for index in range(4)]
    for most in (1, 4, 41, 43):
        assert sum(cases_of(node, most) or 0 for node in nodes) == most
    assert cases_of(nodes[0], None) is None
    assert cases_of(Config(), 41) == 41  # type: ignore[arg-type]


def test_who_replaces_a_worker_takes_its_place_and_draws_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fuzz.placement.free_memory", lambda: [2**40] * 4)
    monkeypatch.setattr(os, "environ", {})
    config: Any = Config(fuzz_device="cuda", fuzz_seed=1)
    nodes = [started(config, f"gw{index}") for index in range(4)]
    release(nodes[2])
    replacement = worker(started(config, "gw4"))
    takes_place(replacement)
    assert os.environ[VISIBLE] == "2,3,0,1"
    assert os.environ[THREADS]
    assert seed_of(replacement) == 5
    assert workers_of(config) == 4


def test_a_run_without_workers_is_left_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    takes_place(Config(fuzz_device="cuda"))  # type: ignore[arg-type]
    assert os.environ == {}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["fuzz/"], True),
        (["fuzz"], True),
        (["fuzz/test_relations.py::test_exact_relations_hold", "fuzz/test_gradients.py"], True),
        ([str(PROJECT / "fuzz")], True),
        (["tests/"], False),
        (["fuzz/", "tests/"], False),
        (["."], False),
        (["fuzzier/"], False),
    ],
)
def test_every_worker_runs_everything_where_there_is_nothing_but_properties(arguments: list[str], *, expected: bool) -> None:
    config: Any = Config(*arguments)
    assert only_fuzzes(config) is expected
    told = worker(started(config, "gw0"))
    assert runs_all(told) is expected
    assert cases_of(told, 40) == (10 if expected else 40)


def test_a_process_of_its_own_runs_everything() -> None:
    config: Any = Config("tests/")
    assert runs_all(config)
    assert distributed.worker_input(config) is None
