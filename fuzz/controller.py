"""What the controller of pytest-xdist does in a run with workers: it places them, and says how they get on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import pytest
from _pytest.terminal import TerminalReporter

from fuzz.distributed import elapsed, instruct, only_fuzzes, release, run_of, workers_of
from fuzz.heartbeat import Heartbeat
from fuzz.placement import described
from fuzz.plugin import PLAIN_INTERVAL, options_of
from reports.counted import counted
from reports.so_far import so_far

if TYPE_CHECKING:
    from xdist.scheduler import Scheduling

_HEARTBEAT: Final = pytest.StashKey[Heartbeat]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker what it has to know."""
    instruct(node)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Let another worker have the place of one that has ended."""
    release(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    """Run every property on every worker; other tests are distributed as pytest-xdist likes.

    Raises:
        pytest.UsageError: an option cannot be used.
    """
    if not only_fuzzes(config):
        return None
    from xdist.scheduler import EachScheduling  # noqa: PLC0415 - a run without workers does not wait for it

    options = options_of(config)
    for line in described(workers_of(config), os.environ, options.device):
        _say(config, line)
    _say(config, f"budget {options.budget:g} s, seed {options.seed} and those after it, reports in {options.reports}")
    config.stash[_HEARTBEAT] = Heartbeat(lambda: _say_progress(config, options.budget), PLAIN_INTERVAL)
    return EachScheduling(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Say nothing more: the summary follows."""
    if (heartbeat := session.config.stash.get(_HEARTBEAT, None)) is not None:
        heartbeat.stop()


def _say_progress(config: pytest.Config, budget: float) -> None:
    """One line with the sum of all workers, as long as they draw."""
    left = budget - elapsed(config)
    if left > 0:
        done = so_far(config.getoption("--reports-dir"), run_of(config) or "")
        counts = f"{done.cases} cases, {done.rate:.0f} cases/s, {done.findings} findings"
        _say(config, f"{counted(done.workers, 'worker')}, {counts}, {left:.0f} s left")


def _say(config: pytest.Config, line: str) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if isinstance(reporter, TerminalReporter) and config.get_verbosity() >= 0:
        reporter.ensure_newline()
        reporter.write_line(line)
