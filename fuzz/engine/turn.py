"""Whose turn it is on the GPU, among the threads of this process.

When a kernel loses its context while another process has kernels running on the same GPU, the driver halts both for
about five seconds (measured with `benchmarks.recovery` beside a busy process: one H200, driver 580). So the children of
one run work in turns, which costs them little: they wait for the same GPU anyway.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Final


class Turn:
    """A lock that is handed on in the order in which it was asked for, and that says whether somebody waits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()

    def take(self) -> object:
        """Wait for the turn. Returns what it is given back with."""
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            self._changed.wait_for(lambda: self._queue[0] is ticket)
        return ticket

    def give_back(self, ticket: object) -> None:
        """Let the next one have it."""
        with self._changed:
            self._queue.remove(ticket)
            self._changed.notify_all()

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for it."""
        return len(self._queue) > 1


GPU: Final = Turn()
"""The turn on the GPU that this process fuzzes."""
