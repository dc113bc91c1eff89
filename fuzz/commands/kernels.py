"""Which of the library's 4-bit kernels the strategies reach. Exit status: 0 counted, 2 could not run."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Final

from fuzz.commands.console import positive, say

if TYPE_CHECKING:
    from fuzz.campaign.witnesses import Witnesses
    from fuzz.engine.executor import Executor
    from strategies.case import Case

ONE_IN: Final = 8
"""One Case in so many is wide: here what is counted is kernels, and not Cases a second."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command line of `kernels`."""
    parser = commands.add_parser(
        "kernels",
        help="count which of the library's 4-bit kernels are launched",
        description=(
            "Run Cases, and those of them under the profiler that may launch a kernel which the ones before did not: which "
            "of the 4-bit kernels in bitsandbytes' CUDA library were launched, how often, and which cannot be on this GPU. "
            "Exit status: 0 counted, 2 could not run."
        ),
    )
    parser.add_argument("--cases", type=positive, default=1000, metavar="N", help="Cases to run at most (default: 1000)")
    parser.add_argument(
        "--seconds", type=positive, default=300, metavar="N", help="time for them (default: 300); the profiler takes as much again at most"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the search (default: 0)")
    parser.set_defaults(run=lambda options: kernels(options.cases, options.seconds, options.seed))


def kernels(cases: int, seconds: float, seed: int) -> int:
    """Count launches, print a line for each kernel that was launched and what became of the others, and return the exit status."""
    from fuzz.campaign.survey import survey  # noqa: PLC0415 - the help needs none of it
    from fuzz.engine.executor import Executor, HarnessError  # noqa: PLC0415
    from reports.launches import lines  # noqa: PLC0415

    try:
        with Executor("cuda") as executor:
            launches = survey(met(executor, cases, seconds, seed).take(), executor, seconds)
    except (HarnessError, OSError) as error:
        say(f"could not run: {error}", error=True)
        return 2
    for name, count in launches.launched.items():
        if count:
            say(f"{count:>8}  {name}")
    for line in lines(launches):
        say(line)
    return 0


def met(executor: Executor, cases: int, seconds: float, seed: int) -> Witnesses:
    """Runs Cases as long as there is time, and keeps those that may launch what the ones before did not."""
    from fuzz.campaign.explore import explore  # noqa: PLC0415
    from fuzz.campaign.witnesses import Witnesses  # noqa: PLC0415
    from strategies.cases import cases as any_case  # noqa: PLC0415
    from strategies.wide import with_wide  # noqa: PLC0415

    found, until, run = Witnesses(), time.monotonic() + seconds, 0

    def visit(case: Case) -> bool:
        nonlocal run
        found.meet(case, executor.run(case))
        run += 1
        return run < cases and time.monotonic() < until

    explore(with_wide(any_case(), ONE_IN), seed, visit)
    return found
