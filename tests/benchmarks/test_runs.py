"""Runs are started as a user starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import runs
from benchmarks.runs import Run, on_site, stop
from fuzz.triage.known import load


def test_the_command_says_what_the_run_says(tmp_path: Path) -> None:
    command = Run(device="cpu", budget=30.0, seed=4, workers=3).command(tmp_path)
    assert command[1:4] == ["-m", "pytest", "fuzz/"]
    said = dict(zip(command[4::2], command[5::2], strict=True))
    assert said["--fuzz-device"] == "cpu"
    assert said["--fuzz-budget"] == "30s"
    assert said["--fuzz-seed"] == "4"
    assert said["-n"] == "3"
    assert "--known-issues" not in said


def test_what_is_not_asked_for_is_not_there(tmp_path: Path) -> None:
    command = Run(device="cpu", budget=30.0).command(tmp_path)
    assert "-n" not in command
    assert "--fuzz-seed" not in command


def test_a_run_that_knows_nothing_has_an_empty_file(tmp_path: Path) -> None:
    command = Run(device="cpu", budget=30.0, knowing=False).command(tmp_path)
    assert load(Path(command[command.index("--known-issues") + 1])) == ()


def test_a_site_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    assert on_site(tmp_path) == {"PYTHONPATH": f"{tmp_path}{os.pathsep}elsewhere"}
    assert on_site(None) == {}


WAITING = "import signal, sys, time; {}; print('up', flush=True); time.sleep(60)"


@pytest.mark.parametrize(
    ("handler", "status"),
    [("signal.signal(signal.SIGINT, lambda *_: sys.exit(5))", 5), ("signal.signal(signal.SIGINT, signal.SIG_IGN)", -9)],
    ids=["interrupted", "killed"],
)
def test_a_run_is_interrupted_and_then_killed(handler: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "CLOSING", 20.0 if status > 0 else 0.2)
    process = subprocess.Popen([sys.executable, "-c", WAITING.format(handler)], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        stop(process)
    assert process.returncode == status
