"""Whose turn it is on the GPU, among the threads of this process and among processes.

When a kernel loses its context while another process has kernels running on the same GPU, the driver halts both for
about five seconds (measured with `benchmarks.recovery` beside a busy process: one H200, driver 580). So children that use
the same GPU work in turns, those of several runs too.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import threading
from collections import deque
from pathlib import Path
from typing import Final


class Turn:
    """A lock that is handed on in the order in which it was asked for, and that says whether somebody waits.

    Among processes the order is nearly that: whoever has just had it comes after those who wait.

    Args:
        name: of the lock among processes; None for one of this process alone.
    """

    def __init__(self, name: Path | None = None) -> None:
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()
        self._among = None if name is None else _Among(name)

    def take(self) -> object:
        """Wait for the turn. Returns what it is given back with."""
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            self._changed.wait_for(lambda: self._queue[0] is ticket)
        if self._among is not None:
            self._among.take()
        return ticket

    def give_back(self, ticket: object) -> None:
        """Let the next one have it."""
        if self._among is not None:
            self._among.give_back()
        with self._changed:
            self._queue.remove(ticket)
            self._changed.notify_all()

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for it. For whoever has it."""
        return len(self._queue) > 1 or (self._among is not None and self._among.wanted)


class _Among:
    """The same among processes: two locked files. The system unlocks those of a process that dies.

    Who wants the turn locks the second file, and keeps it until the first is free: there is one who waits so, and the
    others wait for that place.
    """

    def __init__(self, name: Path) -> None:
        self._name, self._file, self._line = name, -1, -1

    def take(self) -> None:
        if self._file < 0:
            self._file, self._line = (_opened(self._name.with_suffix(suffix)) for suffix in (".turn", ".next"))
        fcntl.flock(self._line, fcntl.LOCK_EX)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        fcntl.flock(self._line, fcntl.LOCK_UN)

    def give_back(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)

    @property
    def wanted(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(self._line, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(self._line, fcntl.LOCK_UN)
            return False
        return True


def _opened(file: Path) -> int:
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def name_of(visible: str | None, folder: Path) -> Path:
    """The file of a GPU's turn.

    Args:
        visible: `CUDA_VISIBLE_DEVICES`, of which the first is the GPU that children use; None if it is not set.
        folder: where such files lie.
    """
    first = (visible or "0").split(",")[0].strip() or "0"
    kept = "".join(letter if letter.isalnum() else "-" for letter in first)
    return folder / f"bnb-fuzz-{os.getuid()}-gpu-{kept}.turn"


class GpuTurn(Turn):
    """The turn on the GPU that this process fuzzes. Which one that is, is known when the first child works."""

    def take(self) -> object:
        """Wait for the turn. Returns what it is given back with."""
        with self._changed:
            self._among = self._among or _Among(name_of(os.environ.get("CUDA_VISIBLE_DEVICES"), Path(tempfile.gettempdir())))
        return super().take()


GPU: Final = GpuTurn()
"""The turn on the GPU that this process fuzzes."""
