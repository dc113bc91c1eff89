"""`python -m fuzz fleet` on a real Ray cluster of two nodes, one of which is killed in the middle."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import pytest

from .commands import PROJECT, SEED, environment

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")

FAULTS: Final = ("shape", "exception")
SIGNATURES: Final = {
    "functional.matmul_4bit | matmul_4bit | wrong shape | triggers: activation.dtype=bfloat16",
    "nn.Linear4bit | linear4bit | unexpected exception (RuntimeError) | triggers: bias=True",
}
PATIENCE: Final = 200.0
"""Seconds that anything here may take on a machine that is busy with other tests."""


@dataclass(frozen=True, slots=True)
class TwoNodes:
    """A cluster.

    Attributes:
        process: in which it is.
        session: the folder of its session, which the command lines of its processes have.
        nodes: their identifiers by type of GPU.
    """

    process: subprocess.Popen[str]
    address: str
    session: str
    nodes: dict[str, str]

    def kill(self, node: str) -> None:
        """Kill the node whose identifier begins with `node`, without a word to anybody."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{node}\n")
        self.process.stdin.flush()
        while self.process.stdout.readline() not in {"killed\n", ""}:
            pass

    def left(self) -> list[int]:
        """Its processes that are there."""
        return with_words(self.session)


def with_words(*words: str) -> list[int]:
    """The processes with these words in their command lines."""
    numbers = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = file.read_bytes().decode(errors="replace")
            numbers += [int(file.parent.name)] if all(word in line for word in words) else []
    return numbers


def until(reached: Callable[[], object], problem: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline, problem
        time.sleep(0.05)


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[TwoNodes]:
    """A cluster whose shards fuzz the stand-in."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.end_to_end.two_nodes"],
        cwd=PROJECT,
        env=environment(FAULTS) | {"RAY_USAGE_STATS_ENABLED": "0"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    nodes = None
    try:
        assert process.stdout is not None
        nodes = TwoNodes(process, *json.loads(process.stdout.readline()))
        yield nodes
        process.communicate(timeout=60)  # closes its standard input
        until(lambda: not nodes.left(), "processes of the cluster live on")
    finally:
        for number in [] if nodes is None else nodes.left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        process.kill()
        process.wait()


@dataclass(frozen=True, slots=True)
class Fleet:
    """A fleet that runs: its process, what it prints, and where it writes."""

    process: subprocess.Popen[bytes]
    log: Path
    into: Path

    @property
    def lines(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines()

    @property
    def record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self.into / "run.json").read_text(encoding="utf-8"))
        return record

    def has(self, files: str) -> bool:
        """Whether such files have come back; the fleet must not have ended without."""
        assert self.process.poll() is None, self.explain("the fleet ended too early")
        return bool(list(self.into.glob(files)))

    def end(self) -> int:
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            pytest.fail(self.explain("the fleet does not end"))

    def explain(self, problem: str) -> str:
        return "\n".join([f"{problem}\n--- the fleet printed:", *self.lines])


@contextlib.contextmanager
def fleet(nodes: TwoNodes, folder: Path, shards: str) -> Iterator[Fleet]:
    """A fleet on the cluster."""
    here = Path(__file__).resolve().parent
    command = [sys.executable, "-m", "fuzz", "fleet", "--address", nodes.address, "--shards", shards, "--into", str(folder / "into")]
    command += ["--seed", str(SEED), "--budget", "150s", "--known-issues", str(here / "nothing_known.toml")]
    command += ["--corpus", str(here / "no_corpus"), "--", "-k", "gemv_matrix", "--fuzz-cases", "40"]
    log: IO[str]
    with (folder / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, cwd=PROJECT, env=environment([]), stdout=log, stderr=log, start_new_session=True)
        try:
            yield Fleet(process, folder / "log", folder / "into")
        finally:
            process.kill()
            process.wait()


def place_of(shard: str, running: Fleet) -> str:
    """The node that a shard runs on, as the fleet says; empty if it does not run yet."""
    found = re.findall(rf"^{shard}: runs on .*, node ([0-9a-f]+)$", "\n".join(running.lines), re.MULTILINE)
    return found[-1] if found else ""


def test_shards_are_placed_by_the_type_of_the_gpu(two_nodes: TwoNodes, tmp_path: Path) -> None:
    with fleet(two_nodes, tmp_path, "T4=1,H200=1") as running:
        until(lambda: place_of("t4-0", running) and place_of("h200-0", running), "the shards have no place")
        os.killpg(running.process.pid, signal.SIGINT)
        assert running.end() == 2
    assert two_nodes.nodes["T4"].startswith(place_of("t4-0", running))
    assert two_nodes.nodes["H200"].startswith(place_of("h200-0", running))


def test_a_node_is_killed_in_the_middle_and_no_finding_is_lost_or_doubled(two_nodes: TwoNodes, tmp_path: Path) -> None:
    with fleet(two_nodes, tmp_path, "CPU=2") as running:
        until(lambda: running.has("shards/cpu-0/1/findings/*/finding.json"), "no finding of the first shard")
        (seed,) = re.findall(r"^cpu-0: waits for a place, attempt 1 of 3, .* seed (\d+)$", "\n".join(running.lines), re.MULTILINE)
        two_nodes.kill(place_of("cpu-0", running))
        status = running.end()
    assert status == 1, running.explain("there are new findings")
    assert any(line.startswith("cpu-0: lost: ") for line in running.lines), running.explain("the node was killed after the shard's end")
    attempts = sorted(path.relative_to(running.into / "shards").as_posix() for path in running.into.glob("shards/*/*"))
    assert attempts == ["cpu-0/1", "cpu-0/2", "cpu-1/1"], running.explain("the lost shard runs again, and the other one does not")

    found = Counter(entry["signature"] for entry in running.record["findings"])
    assert found == Counter(SIGNATURES), running.explain("each fault is one finding")
    parts = [json.loads(file.read_text(encoding="utf-8")) for file in running.into.glob("shards/*/*/findings/*/finding.json")]
    observed: Counter[str] = Counter()
    for part in parts:
        observed[part["signature"]] += part["observed"]
    assert {entry["signature"]: entry["cases"] for entry in running.record["findings"]} == observed
    assert [line for line in running.lines if ": finding: " in line] != [], running.explain("findings are announced")
    assert len([line for line in running.lines if ": finding: " in line]) == len(SIGNATURES)
    seeds = {json.loads(file.read_text(encoding="utf-8"))["seed"] for file in running.into.glob("shards/*/*/run.json")}
    assert len(seeds) == 3, "what a lost attempt has drawn is not drawn again"
    assert (running.into / "index.html").is_file()
    until(lambda: not with_words("pytest", seed), "the pytest of the killed node lives on")


def test_ctrl_c_cancels_the_shards_and_merges_what_came_back(two_nodes: TwoNodes, tmp_path: Path) -> None:
    with fleet(two_nodes, tmp_path, "CPU=2") as running:
        until(lambda: running.has("shards/*/1/observations.jsonl"), "nothing was observed")
        os.killpg(running.process.pid, signal.SIGINT)
        status = running.end()
    assert status == 2, running.explain("pytest ends with status 2 after Ctrl-C, and so does a fleet")
    assert "interrupted: the shards write what they have" in running.lines
    assert "Traceback" not in running.explain("")
    records = [json.loads(file.read_text(encoding="utf-8")) for file in running.into.glob("shards/*/*/run.json")]
    assert {record["stop_reason"] for record in records} == {"interrupted"}, running.explain("shards end with a report")
    assert running.record["findings"] or running.record["unconfirmed"], running.explain("what was announced is lost")
    assert (running.into / "index.html").is_file()
