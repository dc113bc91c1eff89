"""The floor: the calls that Cases make, one after the other in one process, and nothing judged.

python -m benchmarks.floor FILE --device cuda    prints at last a line of JSON: seconds, calls, outputs

FILE is a list of [Case, names of its paths]. Tensors are built, laid out and quantized as a run does it, and then each path
is called, for a relation twice. The GPU is waited for once, at the end.

Before the clock starts all of it is done once, so that kernels are loaded: with a line before each Case, and waiting for the GPU
after it. What reads beyond its memory may end this process though it has not ended another one, and the last line says which
Case that was.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import fuzz.engine.environment  # noqa: F401 - before torch

import torch  # isort: skip

from fuzz.commands.console import say
from fuzz.engine import calls, misuses, paths, relations, runner
from fuzz.engine.ambient import ambient, own_tables
from fuzz.engine.calls import Prepared
from fuzz.engine.library import Library, inspect_library
from fuzz.engine.path import Path as Way
from fuzz.engine.tensors import build
from strategies.case import Case

Job = tuple[Case, list[str]]
"""A Case and its paths."""


def call(case: Case, names: Sequence[str], library: Library) -> tuple[int, int]:
    """Make the calls of a Case. Returns how many, and how many numbers came out."""
    counts = outputs = 0
    with own_tables(case), contextlib.suppress(Exception):  # an exception is an outcome, as it is where it is judged
        with ambient(case):
            prepared = misuses.misused(calls.prepare(case, build(case), library))
        for name in names:
            for result in _results(paths.BY_NAME[name], prepared):
                counts += 1
                outputs += result.numel()
    return counts, outputs


def _results(path: Way, prepared: Prepared) -> Iterator[torch.Tensor]:
    with torch.set_grad_enabled(prepared.case.execution.grad), ambient(prepared.case), contextlib.suppress(Exception):
        yield path.run(prepared)
        if (related := relations.second_call(path, prepared)) is not None:
            yield path.run(related[1])


def rehearse(jobs: Sequence[Job], library: Library) -> None:
    """Do all jobs, and say of each that it begins."""
    for number, (case, names) in enumerate(jobs):
        say(json.dumps({"at": number}))
        call(case, names, library)
        _wait(library)
    say(json.dumps({"rehearsed": len(jobs)}))


def measure(jobs: Sequence[Job], library: Library) -> dict[str, float]:
    """Seconds, calls and outputs of all jobs."""
    began = time.perf_counter()
    done = [call(case, names, library) for case, names in jobs]
    _wait(library)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "calls": sum(counts for counts, _ in done), "outputs": sum(outputs for _, outputs in done)}


def _wait(library: Library) -> None:
    if library.device == "cuda":
        torch.cuda.synchronize()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.floor", description="The calls of Cases, with nothing judged.")
    parser.add_argument("file", type=Path, metavar="FILE", help="Cases and their paths, as JSON")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args(arguments)
    jobs = [(Case.from_json(case), names) for case, names in json.loads(options.file.read_text(encoding="utf-8"))]
    library = inspect_library(options.device)
    runner.quiet()
    rehearse(jobs, library)
    say(json.dumps(measure(jobs, library)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
