"""What more workers and more GPUs bring: Cases a second of `pytest fuzz/ -n N`.

python -m benchmarks.scaling [--workers 1 2 4 8 16] [--gpus 1 2 4] [--budget 60s] [--device cuda]

Each line is a run of its own on the first GPUs of those that are visible, with the known issues known. The rate is the sum of
what each worker does from its first child's start to its end; how long the last of them took to start stands beside it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.runs import Run
from benchmarks.table import conditions, header, row
from fuzz.commands.console import duration, positive, say
from fuzz.engine.driver import free_memory
from fuzz.placement import VISIBLE, gpus
from reports.events import read_events
from reports.run import ReportsError, RunRecord
from reports.schema import RecordError


@dataclass(frozen=True, slots=True)
class Scaled:
    """What the workers of a run have done: Cases a second of all together, and the seconds until the last one was ready."""

    run: RunRecord
    rate: float
    ready: float


def scaled(run: RunRecord, reports: Path) -> Scaled:
    """Read from the events of a run what each worker did in its own time."""
    events = [json.loads(line) for line in read_events(reports)]
    started = {event["worker"]: event["seconds"] for event in events if event["event"] == "started"}
    rates = [
        event["cases"] / (event["seconds"] - started[event["worker"]])
        for event in events
        if event["event"] == "finished" and event["seconds"] > started[event["worker"]]
    ]
    return Scaled(run, sum(rates), max(started.values()))


def measure(device: str, budget: float, workers: int, visible: Sequence[str]) -> Scaled:
    """One run.

    Args:
        device: "auto", "cpu" or "cuda".
        budget: seconds.
        workers: how many.
        visible: the GPUs that they may use, as CUDA names them; empty for the caller's.
    """
    environment = {VISIBLE: ",".join(visible)} if visible else {}
    run = Run(device=device, budget=budget, workers=workers, seed=0, environment=environment)
    with tempfile.TemporaryDirectory() as folder:
        return scaled(run.finish(Path(folder)), Path(folder) / "reports")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description="What more workers and more GPUs bring.")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--budget", type=duration, default=60.0, metavar="TIME", help="of each run (default: 60s)")
    parser.add_argument("--workers", type=positive, nargs="+", default=[1, 2, 4, 8, 16], metavar="N", help="on each GPU")
    parser.add_argument("--gpus", type=positive, nargs="+", default=[1], metavar="N", help="numbers of GPUs (default: 1)")
    options = parser.parse_args(arguments)
    there = () if options.device == "cpu" else gpus(os.environ, len(free_memory()))
    if max(options.gpus) > max(len(there), 1):
        say(f"could not measure: {len(there)} GPUs are visible, and not {max(options.gpus)}", error=True)
        return 2
    try:
        _tabulate(options, there)
    except (RecordError, ReportsError) as error:
        say(f"could not measure: {error}", error=True)
        return 2
    return 0


def _tabulate(options: argparse.Namespace, there: Sequence[str]) -> None:
    first = 0.0
    for number, (count, each) in enumerate(itertools.product(options.gpus, options.workers)):
        done = measure(options.device, options.budget, count * each, there[:count])
        if not number:
            first = done.rate
            say(f"{conditions(done.run.system)}\n")
            say(header("GPUs", "workers", "ready after (s)", "Cases", "Cases/s", "times the first line"))
        times = f"{done.rate / first:.2f}" if first else "-"
        say(row(count if there else "none", count * each, f"{done.ready:.0f}", done.run.cases, f"{done.rate:.0f}", times))


if __name__ == "__main__":
    sys.exit(main())
