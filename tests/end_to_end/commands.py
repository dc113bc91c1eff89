"""Runs the project's commands as a user does, with the stand-in for bitsandbytes first on the module path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

PROJECT: Final = Path(__file__).resolve().parents[2]
STANDIN: Final = PROJECT / "tests" / "standin"

SEED: Final = int(os.environ.get("END_TO_END_SEED", "1862"))
"""Seed of the runs. The tests hold for any; the variable is there to try others."""

STUCK: Final = 600.0
"""Seconds after which a command that should have ended long ago is killed and the test fails."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that came to its end: exit status, both outputs together, duration in seconds."""

    status: int
    output: str
    seconds: float


@dataclass(frozen=True, slots=True)
class FuzzRun:
    """A finished run of the fuzzer and the directory that it wrote."""

    ended: Ended
    reports: Path

    @property
    def record(self) -> dict[str, Any]:
        """What `run.json` says."""
        record: dict[str, Any] = json.loads((self.reports / "run.json").read_text(encoding="utf-8"))
        return record

    @property
    def findings(self) -> dict[Path, dict[str, Any]]:
        """Every `finding.json` of the run, by folder."""
        files = sorted(self.reports.glob("findings/*/finding.json"))
        return {file.parent: json.loads(file.read_text(encoding="utf-8")) for file in files}

    def explain(self, problem: str) -> str:
        """An assertion's message: what is wrong, and what the run printed."""
        return f"{problem}\n--- output of the run (exit status {self.ended.status}, {self.ended.seconds:.0f} s):\n{self.ended.output}"


def environment(faults: Sequence[str]) -> dict[str, str]:
    """This process' environment with the stand-in first on the module path and `faults` switched on."""
    # What an outer pytest leaves for its children is not meant for the one that is started here.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    paths = os.pathsep.join(filter(None, (str(STANDIN), os.environ.get("PYTHONPATH"))))
    return inherited | {"PYTHONPATH": paths, "PLANTED_FAULTS": ",".join(faults)}


EVERYTHING = "fuzz/"
MAIN_PROPERTY = "fuzz/test_gemv_matrix.py"


def fuzz_command(reports: Path, budget: float, watchdog: float, target: str = EVERYTHING) -> list[str]:
    """The command line of a run on the CPU, of all properties or of one; what is known of upstream's releases does not count."""
    options = ["--fuzz-device", "cpu", "--fuzz-seed", str(SEED), "--fuzz-budget", f"{budget:g}s", "--fuzz-watchdog", f"{watchdog:g}s"]
    here = Path(__file__).resolve().parent
    options += ["--known-issues", str(here / "nothing_known.toml"), "--corpus", str(here / "no_corpus")]
    return [sys.executable, "-m", "pytest", target, *options, "--reports-dir", str(reports), "-p", "no:cacheprovider"]


def fuzz(reports: Path, budget: float, watchdog: float, faults: Sequence[str] = (), target: str = EVERYTHING) -> FuzzRun:
    """Run the fuzzer to its end."""
    return FuzzRun(run(fuzz_command(reports, budget, watchdog, target), faults), reports)


def run(command: Sequence[str], faults: Sequence[str] = ()) -> Ended:
    """Run a command from the project's root to its end.

    Raises:
        TimeoutExpired: it was stuck.
    """
    began = time.monotonic()
    done = subprocess.run(
        command,
        cwd=PROJECT,
        env=environment(faults),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=STUCK,
        check=False,
    )
    return Ended(done.returncode, done.stdout, time.monotonic() - began)


def python(*arguments: str | Path, faults: Sequence[str] = ()) -> Ended:
    """Run this interpreter with `arguments`."""
    return run([sys.executable, *map(str, arguments)], faults)
