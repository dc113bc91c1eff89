"""A run under pytest-xdist: workers fuzz side by side, each into a directory of its own, and the controller makes one run of it.

Each worker draws for all properties until the end of the budget, from a seed of its own, and each says of every property
what it found itself: so every test runs on every worker.
"""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import Any, Final

import pytest

from fuzz.placement import Place, environment_of
from reports.finding import Finding
from reports.gather import gather, part
from reports.run import RunRecord
from reports.stored import Warn

PROPERTIES: Final = Path(__file__).resolve().parent
MAX_SEED: Final = 2**32

# What the controller tells a worker.
_SEED: Final = "fuzz_seed"
_NUMBER: Final = "fuzz_number"
_BEGAN: Final = "fuzz_began"
_EVERYWHERE: Final = "fuzz_everywhere"

_START: Final = pytest.StashKey[float]()
"""When the controller's budget began, by the clock of the system: a worker's own begins somewhere else."""
_NUMBERS: Final = pytest.StashKey[dict[str, int]]()
"""The number of each worker that lives."""


def worker_input(config: pytest.Config) -> dict[str, Any] | None:
    """What the controller has told this worker; None in every other process."""
    told: dict[str, Any] | None = getattr(config, "workerinput", None)
    return told


def reports_of(config: pytest.Config) -> Path:
    """The directory that this process writes to."""
    root: Path = config.getoption("--reports-dir")
    worker = worker_input(config)
    return root if worker is None else part(root, worker["testrunuid"], worker["workerid"])


def seed_of(config: pytest.Config) -> int:
    """The seed: the user's or a new one; in a worker the controller's, plus the number in the worker's name.

    A worker that replaces another has a name of its own, and draws what nobody has drawn yet.
    """
    worker, given = worker_input(config), config.getoption("--fuzz-seed")
    if worker is not None:
        return int(worker[_SEED] + int(worker["workerid"].removeprefix("gw"))) % MAX_SEED
    return secrets.randbelow(MAX_SEED) if given is None else int(given)


def spent_of(config: pytest.Config) -> float:
    """Seconds of the budget that were over before this process began: all workers stop at the same time."""
    worker = worker_input(config)
    return 0.0 if worker is None else max(time.time() - worker[_BEGAN], 0.0)


def cases_of(config: pytest.Config, most: int | None) -> int | None:
    """The part of a number of Cases that this process does."""
    worker = worker_input(config)
    if worker is None or most is None or not worker[_EVERYWHERE]:
        return most
    number, workers = int(worker[_NUMBER]), int(worker["workercount"])
    return (most + workers - 1 - number) // workers


def takes_place(config: pytest.Config) -> None:
    """Let the children of this process work where it is its turn to."""
    worker = worker_input(config)
    if worker is not None:
        place = Place(worker[_NUMBER], worker["workercount"])
        os.environ.update(environment_of(place, os.environ, config.getoption("--fuzz-device")))


def only_fuzzes(config: pytest.Config) -> bool:
    """Whether all tests of a run are properties, so that every worker is to run each; asked in the controller."""
    places = [(config.invocation_params.dir / argument.partition("::")[0]).resolve() for argument in config.args]
    return all(place.is_relative_to(PROPERTIES) for place in places)


def runs_all(config: pytest.Config) -> bool:
    """Whether this process runs every test that it has collected."""
    worker = worker_input(config)
    return worker is None or bool(worker[_EVERYWHERE])


def instruct(node: Any) -> None:
    """Give a worker what all of them share, seed and time, and a number that no other one has."""
    config, told = node.config, node.workerinput
    if config.getoption("--fuzz-seed") is None:
        config.option.fuzz_seed = seed_of(config)
    numbers = config.stash.setdefault(_NUMBERS, {})
    numbers[told["workerid"]] = min(set(range(len(numbers) + 1)) - set(numbers.values()))
    told |= {
        _SEED: config.getoption("--fuzz-seed"),
        _NUMBER: numbers[told["workerid"]],
        _BEGAN: config.stash.setdefault(_START, time.time()),
        _EVERYWHERE: only_fuzzes(config),
    }


def release(node: Any) -> None:
    """A worker has ended: who replaces it takes its number, and so its GPU."""
    node.config.stash.get(_NUMBERS, {}).pop(node.workerinput["workerid"], None)


def gathered(config: pytest.Config, warn: Warn) -> tuple[RunRecord, list[Finding]] | None:
    """What the workers of this controller have found; None in every other process, and where they did not fuzz.

    Raises:
        ReportsError: it cannot be read or written.
    """
    run = run_of(config)
    return None if run is None else gather(config.getoption("--reports-dir"), run, warn)


def run_of(config: pytest.Config) -> str | None:
    """The name of the run that this controller distributes; None in every other process."""
    controller = config.pluginmanager.get_plugin("dsession")
    manager = getattr(controller, "nodemanager", None)
    return None if manager is None else str(manager.testrunuid)


def workers_of(config: pytest.Config) -> int:
    """How many workers this controller has."""
    return len(config.stash[_NUMBERS])


def elapsed(config: pytest.Config) -> float:
    """Seconds since the controller's budget began."""
    return time.time() - config.stash[_START]
