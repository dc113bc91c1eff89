"""Where a worker of several works: on which GPU, and with how many threads of the host."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from fuzz.campaign.confirm import AT_ONCE
from fuzz.doctor.machine import cores, gibibytes
from fuzz.engine.driver import free_memory
from fuzz.engine.executor import SPARES
from reports.counted import counted

VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
THREADS: Final = "OMP_NUM_THREADS"

CHILDREN: Final = 1 + SPARES + AT_ONCE
"""Processes with a CUDA context that one worker may have at once: the child, those that wait, and confirmations."""

CONTEXT: Final = 600 * 2**20
"""Bytes of a GPU that one child takes: its context and what torch keeps. A guess; what is measured is what is free."""


@dataclass(frozen=True, slots=True)
class Place:
    """One of several workers: its number, from 0, and how many there are."""

    number: int
    workers: int


def gpus(environment: Mapping[str, str], count: int) -> tuple[str, ...]:
    """The GPUs that a caller lets us use, as CUDA names them: indices, or UUIDs.

    Args:
        environment: the caller's.
        count: how many there are in the machine.
    """
    if VISIBLE not in environment:
        return tuple(map(str, range(count)))
    names = [name.strip() for name in environment[VISIBLE].split(",")]
    # CUDA reads no further than the first that names nothing.
    end = next((index for index, name in enumerate(names) if not name or name.startswith("-")), len(names))
    return tuple(names[:end])


def environment_of(place: Place, environment: Mapping[str, str], device: str) -> dict[str, str]:
    """What a worker changes in its environment before its first child starts.

    Its own GPU comes first, and that is where its children work. The others stay visible behind it: to compare two GPUs
    takes two.

    Args:
        place: the worker.
        environment: what it was started with.
        device: "auto", "cpu" or "cuda".
    """
    changes = {} if THREADS in environment else {THREADS: str(threads(place.workers))}
    usable = () if device == "cpu" else gpus(environment, len(free_memory()))
    if len(usable) > 1:
        own = place.number % len(usable)
        changes[VISIBLE] = ",".join(usable[own:] + usable[:own])
    return changes


def threads(workers: int) -> int:
    """Threads of the host for the children of each of so many workers."""
    return max(1, cores() // workers)


def described(workers: int, environment: Mapping[str, str], device: str) -> Iterator[str]:
    """Where the workers of a run work, and whether they may not have room there, in lines for a person."""
    machine = [] if device == "cpu" else free_memory()
    usable = gpus(environment, len(machine)) if machine else ()
    each = math.ceil(workers / len(usable)) if usable else workers
    where = " on the CPU" if device == "cpu" else ""
    if usable:
        where = f" on {counted(len(usable), 'GPU')}, {each} on each"
    own = environment.get(THREADS) or threads(workers)
    yield f"{counted(workers, 'worker')}{where}; threads of the host for each of their children: {own}"
    needed, free = each * CHILDREN * CONTEXT, min(_of(usable, machine), default=0)
    if usable and needed > free:
        yield f"note: {each} workers on a GPU may take {gibibytes(needed)}, and {gibibytes(free)} are free; fewer of them would be safe"


def _of(usable: tuple[str, ...], machine: list[int]) -> list[int]:
    """What the machine says of each of its GPUs, of those that are usable; of all of them where UUIDs name these."""
    return [machine[int(name)] for name in usable if name.isdecimal() and int(name) < len(machine)] or machine
