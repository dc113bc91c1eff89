"""Runs of `pytest fuzz/`, as a user starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from reports.finding import read_json
from reports.run import RunRecord

PROJECT: Final = Path(__file__).resolve().parent.parent
CLOSING: Final = 120.0
"""Seconds that a run may take beyond its budget, or after an interrupt, until it is killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run of all properties, without the corpus.

    Attributes:
        device: "auto", "cpu" or "cuda".
        budget: seconds.
        seed: None for a new one.
        workers: of pytest-xdist; 0 for a run without it.
        knowing: whether the project's known issues are known, so that time goes into Cases; without them each is a finding.
        environment: what is added to this process' own.
    """

    device: str
    budget: float
    seed: int | None = None
    workers: int = 0
    knowing: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)

    def command(self, folder: Path) -> list[str]:
        """The command line; reports go to `folder`."""
        options = ["--fuzz-device", self.device, "--fuzz-budget", f"{self.budget:g}s", "--reports-dir", str(folder / "reports")]
        options += ["--corpus", str(folder / "none"), "-p", "no:cacheprovider"]
        if self.seed is not None:
            options += ["--fuzz-seed", str(self.seed)]
        if self.workers:
            options += ["-n", str(self.workers)]
        if not self.knowing:
            (folder / "known.toml").write_text("", encoding="utf-8")
            options += ["--known-issues", str(folder / "known.toml")]
        return [sys.executable, "-m", "pytest", "fuzz/", *options]

    def start(self, folder: Path) -> subprocess.Popen[bytes]:
        """Start it; what it prints goes to a file in `folder`."""
        with (folder / "output.txt").open("wb") as output:
            return subprocess.Popen(  # noqa: S603 - our own arguments
                self.command(folder), cwd=PROJECT, env=os.environ | dict(self.environment), stdout=output, stderr=subprocess.STDOUT
            )

    def finish(self, folder: Path) -> RunRecord:
        """Run it to its end, and return what it wrote.

        Raises:
            RecordError: it wrote nothing.
        """
        process = self.start(folder)
        try:
            process.wait(self.budget + CLOSING)
        finally:
            stop(process)
        return record(folder)


def record(folder: Path) -> RunRecord:
    """The run in a folder.

    Raises:
        RecordError: there is none.
    """
    return RunRecord.from_json(read_json(folder / "reports" / "run.json"))


def stop(process: subprocess.Popen[bytes]) -> None:
    """Interrupt a run, as Ctrl-C does, and wait for its report."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(CLOSING)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def on_site(site: Path | None) -> dict[str, str]:
    """The environment in which the bitsandbytes in a directory is imported; None for the one that is installed."""
    if site is None:
        return {}
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(site.resolve()), os.environ.get("PYTHONPATH"))))}
