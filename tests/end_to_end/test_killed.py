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


def children(process: int) -> list[int]:
    """The processes that one has started."""
    numbers = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = file.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]
            numbers += [int(file.parent.name)] if int(parent) == process else []
    return numbers


def test_the_death_of_a_worker_costs_nothing_that_was_found(tmp_path: Path) -> None:
    """The controller starts another one in its place, and what the dead one left is in the report."""
    reports, log = tmp_path / "reports", tmp_path / "output.txt"
    command = [*fuzz_command(reports, budget=150, watchdog=20, target=MAIN_PROPERTY), "fuzz/test_relations.py", "--fuzz-cases", "40"]
    command += ["-n", "1"]
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(command, cwd=PROJECT, env=environment(FAULTS), stdout=output, stderr=output, start_new_session=True)
        try:
            while not list(reports.glob("parts/*/gw0/findings/*/finding.json")):
                assert process.poll() is None, f"the run ended before a worker could be killed:\n{log.read_text(encoding='utf-8')}"
                time.sleep(0.005)
            (worker,) = children(process.pid)
            os.kill(worker, signal.SIGKILL)
            found = {file.parent.name for file in reports.glob("parts/*/gw0/findings/*/finding.json")}
            (seen,) = (announced(file.parent) for file in reports.glob("parts/*/gw0/observations.jsonl"))
            status = process.wait(200)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    said = log.read_text(encoding="utf-8")
    assert status == pytest.ExitCode.TESTS_FAILED, said
    assert "worker 'gw0' crashed" in said
    record = json.loads((reports / "run.json").read_text(encoding="utf-8"))
    assert found <= {entry["slug"] for entry in record["findings"]}, said
    assert seen
    assert all(observation in announced(reports) for observation in seen), "each has the seed of its worker"
    lines = [json.loads(line) for line in (reports / "events.ndjson").read_text(encoding="utf-8").splitlines()]
    seeds = {line["worker"]: line["seed"] for line in lines if line["event"] == "started"}
    assert seeds["gw1"] == seeds["gw0"] + 1, "who takes its place draws something else"


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
