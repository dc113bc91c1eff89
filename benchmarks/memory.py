"""Resident memory of a run as time goes by: the process of pytest, and the largest of its children.

python -m benchmarks.memory [--device cuda] [--from 10m] [--to 60m] [--every 60s]

Prints a line now and then, and at last by how much both have grown between two points. Exit status 1 if that is more than
`--most` percent. A child that was replaced begins anew: the largest of those that live is taken.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.runs import Run, record, stop
from benchmarks.table import conditions, header, row
from fuzz.commands.console import duration, say
from reports.schema import RecordError

PROC: Final = Path("/proc")
MIB: Final = 1024
CLOSING: Final = 20.0
"""Seconds that a run goes on after the last point: at its end it writes reports, which is not what is measured."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds since the start, Cases so far, and KiB of the parent and of its largest child."""

    seconds: float
    cases: int
    parent: int
    child: int


def resident(process: int) -> int:
    """KiB of memory that a process has; 0 if it has ended."""
    with contextlib.suppress(OSError):
        found = re.search(r"^VmRSS:\s+(\d+) kB$", (PROC / str(process) / "status").read_text(encoding="utf-8"), re.MULTILINE)
        return int(found[1]) if found else 0
    return 0


def descendants(process: int) -> set[int]:
    """All processes that one has started, and those that these have."""
    parents: dict[int, int] = {}
    for file in PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name of the program, in parentheses, may contain anything.
            parents[int(file.parent.name)] = int(file.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
    found, fresh = set[int](), {process}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def samples(run: Run, folder: Path, every: float) -> Iterator[Sample]:
    """Samples of a run until it ends.

    Args:
        run: is started.
        folder: for its reports.
        every: seconds between two samples.
    """
    began, process = time.monotonic(), run.start(folder)
    try:
        while process.poll() is None:
            due = began + every * (1 + (time.monotonic() - began) // every)
            while process.poll() is None and time.monotonic() < due:
                time.sleep(0.1)
            if (parent := resident(process.pid)) and (cases := _cases(folder)):
                children = (resident(child) for child in descendants(process.pid))
                yield Sample(time.monotonic() - began, cases, parent, max(children, default=0))
    finally:
        stop(process)


def _cases(folder: Path) -> int:
    """How many Cases a run has done; 0 before it says so."""
    try:
        return record(folder).cases
    except RecordError:
        return 0


def growth(before: int, after: int) -> float:
    """Percent."""
    return 100.0 * (after - before) / before if before else 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description="Resident memory of a run as time goes by.")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--from", dest="since", type=duration, default=600.0, metavar="TIME", help="where growth begins (default: 10m)")
    parser.add_argument("--to", dest="until", type=duration, default=3600.0, metavar="TIME", help="where it ends (default: 60m)")
    parser.add_argument("--every", type=duration, default=60.0, metavar="TIME", help="between two lines (default: 60s)")
    parser.add_argument("--most", type=float, default=5.0, metavar="PERCENT", help="growth that is allowed (default: 5)")
    options = parser.parse_args(arguments)
    run, taken = Run(device=options.device, budget=options.until + CLOSING, seed=0), list[Sample]()
    with tempfile.TemporaryDirectory() as folder:
        for sample in samples(run, Path(folder), options.every):
            if not taken:
                say(f"{conditions(record(Path(folder)).system)}\n\n{header('seconds', 'Cases', 'parent (MiB)', 'child (MiB)')}")
            taken.append(sample)
            say(row(f"{sample.seconds:.0f}", sample.cases, sample.parent // MIB, sample.child // MIB))
    return _judged([sample for sample in taken if options.since <= sample.seconds <= options.until], options.most)


def _judged(taken: Sequence[Sample], most: float) -> int:
    """Say by how much memory has grown, and return the exit status."""
    if len(taken) < 2:  # noqa: PLR2004 - the first and the last
        say("could not measure: there are not two samples to compare", error=True)
        return 2
    first, last = taken[0], taken[-1]
    grown = growth(first.parent, last.parent), growth(first.child, last.child)
    cases = last.cases - first.cases
    say(f"\nfrom {first.seconds:.0f} to {last.seconds:.0f} s, in {cases} Cases: parent {grown[0]:+.1f} %, child {grown[1]:+.1f} %")
    return 0 if max(grown) <= most else 1


if __name__ == "__main__":
    sys.exit(main())
