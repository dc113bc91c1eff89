"""What it costs to start: seconds until `pytest fuzz/ --collect-only` and `--help` have ended.

python -m benchmarks.startup [--count 5]

Each command is timed as it is here, and with PYTHONDONTWRITEBYTECODE and no bytecode of what is not installed: that is a
container in which pip compiled what it installed and nothing else is kept.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.table import header, row, today
from fuzz.commands.console import positive, say
from fuzz.doctor.machine import cores

PROJECT: Final = Path(__file__).resolve().parent.parent
SOURCES: Final = ("conftest.py", "pyproject.toml", "fuzz", "reports", "strategies")
COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "python -c pass": ("-c", "pass"),
    "pytest fuzz/ --collect-only": ("-m", "pytest", "fuzz/", "--collect-only", "-q"),
    "pytest --help": ("-m", "pytest", "--help"),
}
KEEPS_NOTHING: Final = "PYTHONDONTWRITEBYTECODE"


def measure(arguments: Sequence[str], count: int, folder: Path, environment: dict[str, str]) -> list[float]:
    """Seconds that Python takes with these arguments, `count` times, after once that does not count."""
    seconds = []
    for _ in range(count + 1):
        began = time.monotonic()
        subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)  # noqa: S603
        seconds.append(time.monotonic() - began)
    return seconds[1:]


def copied(into: Path) -> Path:
    """A copy of what a start reads of the project, without its bytecode."""
    for name in SOURCES:
        source, target = PROJECT / name, into / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "out"))
        else:
            shutil.copy(source, target)
    return into


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description="What it costs to start.")
    parser.add_argument("--count", type=positive, default=5, metavar="N", help="times that each command is run (default: 5)")
    count = parser.parse_args(arguments).count
    usual = {name: value for name, value in os.environ.items() if name != KEEPS_NOTHING}
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("pytest", "hypothesis"))
    say(f"Median of {count}; Python {platform.python_version()}, {versions}; {cores()} processors; {today()}.\n")
    say(header("command", "bytecode", "median (s)", "longest (s)"))
    with tempfile.TemporaryDirectory() as temporary:
        bare = copied(Path(temporary))
        for name, command in COMMANDS.items():
            for kept, folder, environment in (("kept", PROJECT, usual), ("not kept", bare, usual | {KEEPS_NOTHING: "1"})):
                seconds = measure(command, count, folder, environment)
                say(row(name, kept, f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
