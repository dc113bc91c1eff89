"""What the controller of a run with workers says, and what it leaves to pytest-xdist."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from _pytest.terminal import TerminalReporter

from fuzz import controller
from reports.gather import part
from reports.run import RUNNING, RunDirectory
from tests.reports.stored_runs import record


class Terminal(TerminalReporter):  # type: ignore[misc]  # it is asked for by its type
    """Keeps what is written."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def ensure_newline(self) -> None:
        """Nothing was begun."""

    def write_line(self, line: str | bytes, **_: bool) -> None:
        self.lines.append(str(line))


class Config:
    """A controller's configuration, as far as it is asked."""

    def __init__(self, root: Path, *args: str, verbosity: int = 0) -> None:
        self.terminal, self._verbosity, self._root = Terminal(), verbosity, root
        self.stash, self.args, self.invocation_params = pytest.Stash(), args, SimpleNamespace(dir=root)
        self.option = SimpleNamespace(fuzz_seed=1)
        manager = SimpleNamespace(testrunuid="a-run")
        plugins = {"terminalreporter": self.terminal, "dsession": SimpleNamespace(nodemanager=manager)}
        self.pluginmanager = SimpleNamespace(get_plugin=plugins.get)

    def getoption(self, name: str) -> Any:
        return {"--reports-dir": self._root, "--fuzz-seed": 1}[name]

    def get_verbosity(self) -> int:
        return self._verbosity


def with_two_workers(root: Path, verbosity: int = 0) -> Any:
    """A run that began ten seconds ago."""
    config = Config(root, verbosity=verbosity)
    for name, cases in (("gw0", 300), ("gw1", 100)):
        node = SimpleNamespace(config=config, workerinput={"workerid": name, "workercount": 2})
        controller.pytest_configure_node(node)
        RunDirectory(part(root, "a-run", name)).write_run(record(cases=cases, seconds=8.0, stop_reason=RUNNING))
    return config


def test_progress_is_the_sum_of_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = with_two_workers(tmp_path)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 10)
    controller._say_progress(config, 60.0)
    (line,) = config.terminal.lines
    assert line == "2 workers, 400 cases, 50 cases/s, 0 findings, 50 s left"


def test_when_the_budget_is_over_or_pytest_is_quiet_nothing_is_said(tmp_path: Path) -> None:
    config = with_two_workers(tmp_path)
    controller._say_progress(config, 0.0)
    quiet = with_two_workers(tmp_path, verbosity=-1)
    controller._say_progress(quiet, 60.0)
    assert config.terminal.lines == quiet.terminal.lines == []


def test_other_tests_are_distributed_as_ever(tmp_path: Path) -> None:
    config: Any = Config(tmp_path, "tests/")
    assert controller.pytest_xdist_make_scheduler(config, None) is None
    controller.pytest_sessionfinish(SimpleNamespace(config=config))  # type: ignore[arg-type]
    assert config.terminal.lines == []
