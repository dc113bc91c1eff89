"""A run that is killed loses nothing that it had announced: the next run and `merge` read what is there."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .commands import MAIN_PROPERTY, PROJECT, environment, fuzz_command, python, run

FAULTS = ("shape", "exception")


def announced(reports: Path) -> list[dict[str, Any]]:
    """The failures that a run has written down; a killed writer may leave half a line."""
    lines = (reports / "observations.jsonl").read_text(encoding="utf-8").splitlines()
    found = []
    for line in lines:
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def first_observation(reports: Path) -> bool:
    return (reports / "observations.jsonl").exists() and bool(announced(reports))


def first_script(reports: Path) -> bool:
    """A confirmation is under way: the script is there, and the finding is being written or not yet."""
    return bool(list(reports.glob("findings/*/repro.py")))


def first_finding(reports: Path) -> bool:
    return bool(list(reports.glob("findings/*/finding.json")))


def kill_when(reports: Path, reached: Callable[[Path], bool]) -> None:
    """Start a run, and kill it and its children as soon as `reached` holds."""
    command = fuzz_command(reports, budget=120, watchdog=20, target=MAIN_PROPERTY)
    process = subprocess.Popen(
        command, cwd=PROJECT, env=environment(FAULTS), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 110
    try:
        while not reached(reports):
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline, "nothing to kill it for in 110 s"
            time.sleep(0.005)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("reached", [first_observation, first_script, first_finding], ids=lambda reached: reached.__name__)
def test_what_was_announced_is_there_for_merge_and_for_the_next_run(tmp_path: Path, reached: Callable[[Path], bool]) -> None:
    reports, merged = tmp_path / "reports", tmp_path / "merged"
    kill_when(reports, reached)
    kinds = {(item["verdict"]["path"], item["verdict"]["symptom"]) for item in announced(reports)}
    assert kinds

    done = python("-m", "fuzz", "merge", reports, "--into", merged)
    assert done.status == 0, done.output
    record = json.loads((merged / "run.json").read_text(encoding="utf-8"))
    listed = [entry["signature"] for entry in (*record["findings"], *record["unconfirmed"])]
    missing = [kind for kind in kinds if not any(f"| {kind[0]} | {kind[1]}" in signature for signature in listed)]
    assert not missing, f"merge does not list {missing}: {listed}"

    options = ["--fuzz-cases", "1", "--corpus", str(tmp_path / "none")]
    again = run([*fuzz_command(reports, budget=90, watchdog=20, target=MAIN_PROPERTY), *options], faults=FAULTS)
    record = json.loads((reports / "run.json").read_text(encoding="utf-8"))
    found = [entry["signature"] for entry in record["findings"]]
    missing = [kind for kind in kinds if not any(f"| {kind[0]} | {kind[1]}" in signature for signature in found)]
    assert not missing, f"the next run did not look at {missing}: {found}\n{again.output}"
