"""What a plain Hypothesis test finds (`benchmarks/plain_test.py`), and what `pytest fuzz/` finds in the same time.

python -m benchmarks.plain [--device cuda] [--time 2m] [--count 3]

The plain test ends when it has reported, as it does for anybody: with its first failure, or with all that Hypothesis has met
until then (`report_multiple_bugs`). A failure is real if the fuzzer fails the same call with the same sizes, dtype and
quantization, and otherwise a false alarm; failures on one path with one symptom are one defect. If the process dies, that is
one defect, though nothing says of what. The findings of `pytest fuzz/` are those that it verified, with nothing known.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.runs import Run
from benchmarks.table import conditions, header, row
from fuzz.commands.console import duration, positive, say
from fuzz.engine.executor import Executor, HarnessError
from fuzz.engine.verdict import FailureKey
from reports.schema import RecordError
from strategies.case import Activation, Case, Fill, FloatDType, PackedView, Quantization, QuantType, Weight

PROJECT: Final = Path(__file__).resolve().parent.parent
CLOSING: Final = 60.0
"""Seconds that the plain test may take beyond its time: one call may hang."""

COMPARED: Final = frozenset({"quantize_4bit", "dequantize_4bit", "dequantize_linear", "matmul_4bit", "gemv_4bit"})
"""What the plain test calls, by the names of paths."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of the plain test: seconds from the first product, products that it tried, those that it reported, whether it died."""

    seconds: float
    cases: int
    reported: tuple[Case, ...]
    died: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Distinct real defects, and reports that are none."""

    defects: int
    false_alarms: int


def case_of(product: dict[str, Any]) -> Case:
    """The same call as a Case, with normal data of its own."""
    rows = product["rows"]
    return Case(
        weight=Weight(out_features=product["outputs"], in_features=product["terms"], dtype=FloatDType(product["dtype"]), fill=Fill.NORMAL),
        quantization=Quantization(quant_type=QuantType(product["quant_type"]), blocksize=product["blocksize"]),
        packed=PackedView.TRANSPOSED,
        activation=Activation(leading=() if rows is None else (rows,), fill=Fill.NORMAL),
        seed=product["seed"],
    )


def tried(device: str, seconds: float, seed: int, *, first_only: bool) -> Tried:
    """Run the plain test in a process of its own.

    Raises:
        HarnessError: it ended with an exception that no product has caused.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tried.jsonl"
        file.touch()
        command = [sys.executable, "-m", "benchmarks.plain_counted", str(file), "--device", device, "--seconds", f"{seconds:g}s"]
        command += ["--seed", str(seed), *(["--first-only"] if first_only else [])]
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
        with (Path(folder) / "output.txt").open("wb") as output:
            process = subprocess.Popen(command, cwd=PROJECT, env=os.environ | hidden, stdout=output, stderr=output)  # noqa: S603
            try:
                process.wait(seconds + CLOSING)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        words = (Path(folder) / "output.txt").read_text(encoding="utf-8", errors="replace")
        if process.returncode > 0 and "Traceback" in words:
            raise HarnessError(f"the plain test could not run: {words.splitlines()[-1]}")
        return read(file.read_text(encoding="utf-8"))


def read(text: str) -> Tried:
    """What `benchmarks.plain_counted` has written."""
    lines = [json.loads(line) for line in text.split("\n")[:-1]]
    products = [line["tried"] for line in lines if "tried" in line]
    reported = next((line["reported"] for line in lines if "reported" in line), None)
    ends = products[-1:] if reported is None else reported
    return Tried(
        max((line["seconds"] for line in lines), default=0.0),
        len(products),
        tuple(case_of(product) for product in ends),
        died=reported is None,
    )


def judge(executor: Executor, done: Tried) -> Judged:
    """Ask the fuzzer about what the plain test reports."""
    if done.died:
        return Judged(defects=1, false_alarms=0)
    first = [_first_failure(executor, case) for case in done.reported]
    return Judged(defects=len({key for key in first if key is not None}), false_alarms=first.count(None))


def _first_failure(executor: Executor, case: Case) -> FailureKey | None:
    failures = executor.run(case, sorted(COMPARED - {"quantize_4bit"})).failures
    return next((FailureKey.of(verdict) for verdict in failures if verdict.path in COMPARED), None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plain", description="What a plain Hypothesis test finds.")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--time", type=duration, default=120.0, metavar="TIME", help="for each line (default: 2m)")
    parser.add_argument("--count", type=positive, default=3, metavar="N", help="seeds 0 to N - 1 (default: 3)")
    options = parser.parse_args(arguments)
    try:
        with Executor(options.device) as executor:
            system = executor.start().system
            say(f"{conditions(system)}\n")
            say(header("test", "seed", "seconds", "Cases", "Cases/s", "real defects", "false alarms", "the process died"))
            for seed in range(options.count):
                for name, first_only in (("plain, first failure", True), ("plain, `report_multiple_bugs`", False)):
                    done = tried(system["device"], options.time, seed, first_only=first_only)
                    _say_plain(name, seed, done, judge(executor, done))
        for seed in range(options.count):
            _say_fuzzed(system["device"], options.time, seed)
    except (HarnessError, RecordError) as error:
        say(f"could not measure: {error}", error=True)
        return 2
    return 0


def _say_plain(name: str, seed: int, done: Tried, judged: Judged) -> None:
    # Of a single product there is no rate: it was tried before anything had passed.
    rate, died = f"{done.cases / done.seconds:.0f}" if done.cases > 1 else "-", "yes" if done.died else "no"
    say(row(name, seed, f"{done.seconds:.0f}", done.cases, rate, judged.defects, judged.false_alarms, died))


def _say_fuzzed(device: str, seconds: float, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Run(device=device, budget=seconds, seed=seed, knowing=False).finish(Path(folder))
    rate = f"{run.cases / run.seconds:.0f}"
    say(row("`pytest fuzz/`", seed, f"{run.seconds:.0f}", run.cases, rate, len(run.findings), "", "no"))


if __name__ == "__main__":
    sys.exit(main())
