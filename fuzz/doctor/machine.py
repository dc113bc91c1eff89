"""The machine around the device: cores, memory, driver, tools."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fuzz.doctor.line import Line, no, ok, warn
from fuzz.engine.driver import driver_version, has_driver
from fuzz.sanitizer import locate

LEAST_CORES: Final = 2
"""One draws and judges what is known, one runs the child; with fewer they wait for each other."""

LEAST_MEMORY: Final = 4 * 2**30
"""Bytes. A child takes about 0.6 GiB on the CPU, and a confirmation starts several at once."""

MEMINFO: Final = Path("/proc/meminfo")


def machine() -> Iterator[Line]:
    """What is there beside the GPU itself."""
    yield _cores(cores())
    yield _memory(available_memory())
    yield _driver()
    yield _sanitizer()


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_memory() -> int | None:
    """Bytes that a new process may use without swapping; None where the system does not say (not Linux)."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", MEMINFO.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def gibibytes(count: int) -> str:
    """A number of bytes, such as "18.9 GiB"."""
    return f"{count / 2**30:.1f} GiB"


def _cores(count: int) -> Line:
    if count < LEAST_CORES:
        return warn("CPU cores", f"{count}; a run and its children wait for each other")
    return ok("CPU cores", str(count))


def _memory(free: int | None) -> Line:
    if free is None:
        return warn("free memory", "this system does not say")
    if free < LEAST_MEMORY:
        return warn("free memory", f"{gibibytes(free)}; children may be killed below {gibibytes(LEAST_MEMORY)}")
    return ok("free memory", gibibytes(free))


def _driver() -> Line:
    if not has_driver():
        return no("driver", "libcuda.so.1 cannot be loaded: no NVIDIA driver")
    return ok("driver", driver_version())


def _sanitizer() -> Line:
    found = locate.find()
    if found is None:
        return no(locate.NAME, f"{locate.missing()}: `python -m fuzz confirm` cannot run")
    return ok(locate.NAME, str(found))
