"""Which of the library's 4-bit kernels the strategies reach. Exit status: 0 counted, 2 could not run."""

from __future__ import annotations

import argparse
import importlib.util
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fuzz.commands.console import positive, say

if TYPE_CHECKING:
    from fuzz.engine.executor import Executor
    from strategies.case import Case

ONE_IN: Final = 8
"""One Case in so many is wide: here what is counted is kernels, and not Cases a second."""

ON_OTHER_GPUS: Final = {"gemm_4bit_sm75_m16n8k8": "for compute capability 7.5 only"}
"""Kernels that a newer GPU never runs, by template."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command line of `kernels`."""
    parser = commands.add_parser(
        "kernels",
        help="count which of the library's 4-bit kernels are launched",
        description=(
            "Run Cases under the profiler, and count which of the 4-bit kernels in bitsandbytes' CUDA library were launched. "
            "Exit status: 0 counted, 2 could not run."
        ),
    )
    parser.add_argument("--cases", type=positive, default=400, metavar="N", help="Cases to run (default: 400)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the search (default: 0)")
    parser.set_defaults(run=lambda options: kernels(options.cases, options.seed))


def kernels(cases: int, seed: int) -> int:
    """Count launches, print a line for each kernel, and return the exit status."""
    from fuzz.engine.executor import Executor, HarnessError  # noqa: PLC0415 - the help needs none of it
    from fuzz.engine.kernels import contained  # noqa: PLC0415

    try:
        with Executor("cuda") as executor:
            ready = executor.start()
            file = library_file(ready.library["native"]["file"])
            there = contained(file)
            launched = count(executor, _drawn(cases, seed))
    except (HarnessError, OSError) as error:
        say(f"could not run: {error}", error=True)
        return 2
    for line in table(there, launched):
        say(line)
    return 0


def count(executor: Executor, cases: Iterable[Case]) -> Counter[str]:
    """How often each kernel was launched by the quantization and the paths of Cases that are right."""
    from fuzz.engine.kernels import is_of_four_bits, plain  # noqa: PLC0415

    launched: Counter[str] = Counter()
    for case in cases:
        for verdict in executor.run(case, survey=True).verdicts:
            launched.update(name for kernel in verdict.kernels if is_of_four_bits(name := plain(kernel)))
    return launched


def table(there: Iterable[str], launched: Counter[str]) -> Iterator[str]:
    """A line for each kernel that the library contains, those that were not launched last, and one for all."""
    there = list(there)
    for name in there:
        if launched[name]:
            yield f"{launched[name]:>8}  {name}"
    for name in there:
        if not launched[name]:
            reason = ON_OTHER_GPUS.get(name.partition("<")[0], "")
            yield f"{'never':>8}  {name}{f'  ({reason})' if reason else ''}"
    strangers = sorted(set(launched) - set(there))
    yield from (f"{launched[name]:>8}  {name}  (not found in the library's file)" for name in strangers)
    yield f"{sum(bool(launched[name]) for name in there)} of {len(there)} 4-bit kernels were launched"


def _drawn(cases: int, seed: int) -> list[Case]:
    from fuzz.campaign.explore import explore  # noqa: PLC0415
    from strategies.cases import cases as any_case  # noqa: PLC0415
    from strategies.wide import with_wide  # noqa: PLC0415

    found: list[Case] = []

    def visit(case: Case) -> bool:
        found.append(case)
        return len(found) < cases

    explore(with_wide(any_case(), ONE_IN), seed, visit)
    return found


def library_file(name: str) -> Path:
    """The file of that name beside bitsandbytes' code.

    Raises:
        OSError: there is no such file.
    """
    spec = importlib.util.find_spec("bitsandbytes")
    for folder in [] if spec is None else spec.submodule_search_locations or []:
        if name and (Path(folder) / name).is_file():
            return Path(folder) / name
    raise FileNotFoundError(f"bitsandbytes has loaded no native library whose kernels can be read ({name or 'none'})")
