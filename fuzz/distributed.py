"""A run under pytest-xdist: workers fuzz side by side, each into a directory of its own, and the controller makes one run of it."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, Final

import pytest

from reports.finding import Finding
from reports.gather import gather, part
from reports.run import RunRecord
from reports.stored import Warn

MAX_SEED: Final = 2**32

_SEED: Final = "fuzz_seed"


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
    """The seed: the user's, the controller's, or a new one."""
    given: int | None = config.getoption("--fuzz-seed")
    if given is None:
        given = (worker_input(config) or {}).get(_SEED)
    return secrets.randbelow(MAX_SEED) if given is None else given


def instruct(node: Any) -> None:
    """Give all workers one seed, so that the run can be drawn again."""
    config: pytest.Config = node.config
    if config.getoption("--fuzz-seed") is None:
        config.option.fuzz_seed = seed_of(config)
    node.workerinput[_SEED] = config.getoption("--fuzz-seed")


def gathered(config: pytest.Config, warn: Warn) -> tuple[RunRecord, list[Finding]] | None:
    """What the workers of this controller have found; None in every other process, and where they did not fuzz.

    Raises:
        ReportsError: it cannot be read or written.
    """
    controller = config.pluginmanager.get_plugin("dsession")
    if controller is None or getattr(controller, "nodemanager", None) is None:
        return None
    return gather(config.getoption("--reports-dir"), controller.nodemanager.testrunuid, warn)
