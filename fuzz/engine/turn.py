"""Whose turn it is on the GPU, among the threads of this process, where children have to take turns.

On some machines, when a kernel loses its context while another process has kernels running on the same GPU, the driver
halts both for about five seconds: it did on one machine with an H200, and does not on another, where no Case of up to three
busy processes took longer than 0.4 s while 42 contexts were lost (both driver 580). So children work side by side until one
was halted, and from then on in turns.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

HALT: Final = 3.0
"""Seconds that a Case takes while another child loses its context, by which a halt is recognised. Where it was only large, turns
cost some time and nothing else."""

REMEMBERED: Final = 64
"""Lost contexts that are remembered: those of some seconds."""


class Turn:
    """A lock that is handed on in the order in which it was asked for, and that says whether somebody waits.

    It holds nobody up until `needed`.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()
        self._losses: deque[float] = deque(maxlen=REMEMBERED)
        self.needed = False

    def take(self) -> object:
        """Wait for the turn. Returns what it is given back with."""
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            self._changed.wait_for(lambda: not self.needed or self._queue[0] is ticket)
        return ticket

    def give_back(self, ticket: object) -> None:
        """Let the next one have it."""
        with self._changed:
            self._queue.remove(ticket)
            self._changed.notify_all()

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for it."""
        return self.needed and len(self._queue) > 1

    def lost(self) -> None:
        """A child has lost its context."""
        self._losses.append(time.monotonic())

    def answered(self, since: float) -> None:
        """Another child has answered a Case on which it worked since then, in monotonic seconds."""
        if time.monotonic() - since > HALT and any(since < moment for moment in list(self._losses)):
            self.needed = True


GPU: Final = Turn()
"""The turn on the GPU that this process fuzzes."""
