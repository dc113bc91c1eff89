"""Runs some Cases of a run under the profiler, to say which of the library's kernels it has launched."""

from __future__ import annotations

import importlib.util
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from fuzz.engine.executor import Executor
from fuzz.engine.kernels import contained, is_of_four_bits, plain
from fuzz.engine.unreachable_kernels import reason
from reports.launches import Launches
from strategies.case import Case


def survey(cases: Iterable[Case], executor: Executor, seconds: float) -> Launches:
    """What the quantizations and the paths of Cases that are right launch, in order and as long as there is time.

    Args:
        cases: what to run.
        executor: on a GPU.
        seconds: after which no other Case is begun.

    Raises:
        OSError: the library's file cannot be read.
        HarnessError: the executor cannot go on.
    """
    until = time.monotonic() + seconds
    ready = executor.start()
    there = contained(library_file(ready.library["native"]["file"]))
    launched, count = Counter[str](), 0
    for case in cases:
        if time.monotonic() > until:
            break
        launched.update(launches_of(executor, case))
        count += 1
    capability = _capability(ready.system["compute_capability"])
    reasons = {name: why for name in there if (why := reason(name, capability, frozenset(there)))}
    names = [*there, *sorted(set(launched) - set(there))]
    return Launches(cases=count, launched={name: launched[name] for name in names}, unreachable=reasons)


def launches_of(executor: Executor, case: Case) -> Counter[str]:
    """How often each 4-bit kernel was launched by the quantization and the paths of a Case that are right."""
    verdicts = executor.run(case, survey=True).verdicts
    return Counter(name for verdict in verdicts for kernel in verdict.kernels if is_of_four_bits(name := plain(kernel)))


def _capability(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(minor)


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
