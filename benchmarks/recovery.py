"""What a lost CUDA context costs: the time until the verdict on the Case after it, in a row and now and then.

python -m benchmarks.recovery [--count 40] [--every 2 10] [--spares 2 4 8]

Needs a GPU and a bitsandbytes that loses the context for an activation that begins in the middle of a vector, which
0.50.2 does. Ends with exit status 1 if it does not.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Sequence

from fuzz.engine.executor import Executor
from fuzz.engine.verdict import Symptom
from strategies.case import Case, Layouts, Memory, Weight

PATH = "matmul_4bit"
PLAIN = Case(weight=Weight(in_features=64, out_features=64))
KILLING = Case(weight=Weight(in_features=64, out_features=64), memory=Layouts(activation=Memory.OFFSET))


def measure(executor: Executor, count: int, every: int) -> list[float]:
    """Seconds from a Case that loses the context to the verdict on the one after it; the start of a run is not among them."""
    seconds = []
    for _ in range(count):
        for _ in range(every - 2):
            executor.run(PLAIN, [PATH])
        began = time.monotonic()
        lost = executor.run(KILLING, [PATH])
        executor.run(PLAIN, [PATH])
        seconds.append(time.monotonic() - began)
        if all(verdict.symptom is not Symptom.CONTEXT_LOST for verdict in lost.failures):
            sys.exit("this bitsandbytes does not lose the context for an activation that begins in the middle of a vector")
    return seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recovery", description="what a lost CUDA context costs")
    parser.add_argument("--count", type=int, default=40, help="lost contexts for each line (default: 40)")
    parser.add_argument("--every", type=int, nargs="+", default=[2, 10], help="every how many Cases one is lost (default: 2 10)")
    parser.add_argument("--spares", type=int, nargs="+", default=[2, 4, 8], help="children that wait (default: 2 4 8)")
    chosen = parser.parse_args(arguments)
    _write("| spares | lost every | start of a child (s) | median (s) | 95th percentile (s) | Cases/s |")
    _write("| --- | --- | --- | --- | --- | --- |")
    for spares, every in itertools.product(chosen.spares, chosen.every):
        with Executor("cuda", spares=spares) as executor:
            start = executor.start().seconds
            began = time.monotonic()
            seconds = measure(executor, chosen.count, every)
            rate = chosen.count * every / (time.monotonic() - began)
        median, p95 = statistics.median(seconds), statistics.quantiles(seconds, n=20)[-1]
        _write(f"| {spares} | {every} | {start:.2f} | {median:.2f} | {p95:.2f} | {rate:.0f} |")
    return 0


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
