"""Judged Cases a second of one campaign, against the floor: the same calls in one process without judging.

python -m benchmarks.throughput [--device cuda] [--cases 3000] [--seed 0]

The default mix of properties, nothing known, nothing reduced or confirmed. Cases that end the child are found first, and left
out of both. Drawing, executing and judging overlap, so that their shares are not parts of a whole: drawing and executing are
what they take alone, judging (with references and the pipe) is what Cases that were drawn beforehand take beyond the floor.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.floor import Job
from benchmarks.mix import default_mix, drawn
from benchmarks.table import conditions, header, row
from fuzz.campaign.campaign import Progress
from fuzz.campaign.explore import explore
from fuzz.campaign.mixture import Drawn, mixed
from fuzz.commands.console import positive, say
from fuzz.engine.executor import Executor, HarnessError
from fuzz.engine.paths import QUANTIZE
from fuzz.engine.verdict import ENDING, CaseResult
from strategies.case import Case

PROJECT: Final = Path(__file__).resolve().parent.parent
MOST_LOST: Final = 100
"""Cases that end the floor until it is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Seconds for the same Cases: drawn only, called only, judged, and all of it; and what they come to."""

    cases: int
    left_out: int
    calls: int
    outputs: int
    drawing: float
    floor: float
    judged: float
    campaign: float

    def lines(self) -> list[str]:
        """The table, and the shares."""
        lines = [header("", "Cases/s", "path executions/s", "outputs/s", "of the floor")]
        for name, seconds in (("campaign", self.campaign), ("drawn beforehand", self.judged), ("floor", self.floor)):
            rates = (f"{count / seconds:,.0f}" for count in (self.cases, self.calls, self.outputs))
            lines.append(row(name, *rates, f"{self.floor / seconds:.0%}"))
        shares = {"drawing": self.drawing, "executing": self.floor, "judging": self.judged - self.floor}
        said = ", ".join(f"{name} {seconds / self.campaign:.0%}" for name, seconds in shares.items())
        return [*lines, "", f"Of the campaign's time: {said}. {self.cases} Cases; {self.left_out} that end the child are left out."]


def survivors(executor: Executor, cases: Sequence[Case]) -> list[Job]:
    """The Cases that leave the child alive, with the paths that ran."""
    jobs: list[Job] = []
    for case in cases:
        result = executor.run(case)
        if not any(verdict.symptom in ENDING for verdict in result.failures):
            jobs.append((case, [verdict.path for verdict in result.verdicts if verdict.path != QUANTIZE]))
    return jobs


def judged(executor: Executor, cases: Sequence[Case]) -> float:
    """Seconds from the first Case to the last verdict."""
    began = time.perf_counter()
    for case in cases:
        executor.submit(case, lambda _: None)
    executor.drain()
    return time.perf_counter() - began


def campaign(executor: Executor, seed: int, count: int, ending: Collection[Case]) -> float:
    """The same, with as many Cases drawn meanwhile and counted as a run counts them."""
    progress, left, began = Progress(), count, 0.0

    def visit(one: Drawn) -> bool:
        nonlocal left, began
        began = began or time.perf_counter()
        if one.case not in ending:
            left -= 1
            executor.submit(one.case, _counting(progress, one.case))
        return left > 0

    explore(mixed(default_mix(executor.start().system["device"])), seed, visit)
    executor.drain()
    return time.perf_counter() - began


def _counting(progress: Progress, case: Case) -> Callable[[CaseResult], None]:
    return lambda result: progress.count(case, result)


def floor(jobs: Sequence[Job], device: str) -> tuple[list[Job], dict[str, float]]:
    """The jobs that can be done without the child's precautions, and what `benchmarks.floor` measures of them.

    Raises:
        HarnessError: it cannot run.
    """
    kept = list(jobs)
    for _ in range(MOST_LOST):
        lines, words = _bare(kept, device)
        if lines and "seconds" in lines[-1]:
            return kept, lines[-1]
        if not lines or "at" not in lines[-1]:  # it did not begin, or ended where all had gone well before
            raise HarnessError(f"the floor ended by itself: {words}")
        del kept[int(lines[-1]["at"])]
    raise HarnessError(f"the floor ended more than {MOST_LOST} times")


def _bare(jobs: Sequence[Job], device: str) -> tuple[list[dict[str, float]], str]:
    """What the floor prints, and its last words. It is a process of its own: this one must not initialise CUDA."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cases.json"
        file.write_text(json.dumps([[case.to_json(), names] for case, names in jobs]), encoding="utf-8")
        command = [sys.executable, "-m", "benchmarks.floor", str(file), "--device", device]
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
        done = subprocess.run(  # noqa: S603 - our own arguments
            command, cwd=PROJECT, env=os.environ | hidden, capture_output=True, text=True, errors="replace", check=False
        )
    # A line that the library prints is none of ours, and what it prints may stand before one.
    lines = [json.loads(line[line.index("{") :]) for line in done.stdout.splitlines() if line.endswith("}") and "{" in line]
    return lines, (done.stderr.splitlines() or [f"exit status {done.returncode}"])[-1]


def measure(executor: Executor, seed: int, count: int) -> Measured:
    """All four, one after the other."""
    device = executor.start().system["device"]
    drawn_cases, drawing = drawn(seed, count, device)
    jobs, bare = floor(survivors(executor, drawn_cases), device)
    cases = [case for case, _ in jobs]
    return Measured(
        cases=len(cases),
        left_out=len(drawn_cases) - len(cases),
        calls=int(bare["calls"]),
        outputs=int(bare["outputs"]),
        drawing=drawing * len(cases) / len(drawn_cases),
        floor=bare["seconds"],
        judged=judged(executor, cases),
        campaign=campaign(executor, seed, len(cases), frozenset(drawn_cases) - frozenset(cases)),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description="Judged Cases a second, against the floor.")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--cases", type=positive, default=3000, metavar="N", help="Cases to draw (default: 3000)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the search (default: 0)")
    options = parser.parse_args(arguments)
    try:
        with Executor(options.device) as executor:
            say(f"{conditions(executor.start().system)}\n")
            for line in measure(executor, options.seed, options.cases).lines():
                say(line)
    except HarnessError as error:
        say(f"could not measure: {error}", error=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
