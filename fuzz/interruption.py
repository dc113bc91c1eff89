"""Ctrl-C that is never lost.

Python raises KeyboardInterrupt in whatever runs when the signal arrives. In a callback of the garbage collector, of which
Hypothesis has one, nothing can be raised: Python prints a note and goes on, and the run would too, to the end of its budget.
"""

from __future__ import annotations

import gc
import signal
import threading
from types import FrameType


class Interruption:
    """Remembers that an interrupt was asked for. Listens from `listen` to `restore`."""

    def __init__(self) -> None:
        self._asked = self._listening = False

    def listen(self) -> None:
        """Take over from Python's own handler; if there is another one, or a shell has switched the signal off, that stays."""
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._handle)
            self._listening = True

    def restore(self) -> None:
        """Give Python's handler its place back."""
        if self._listening:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._listening = False

    def check(self) -> None:
        """Called between two Cases.

        Raises:
            KeyboardInterrupt: it was asked for, and could not be raised at the time or was swallowed.
        """
        if self._asked:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        if not _collects_garbage(frame):
            signal.default_int_handler(number, frame)


def _collects_garbage(frame: FrameType | None) -> bool:
    """Whether a callback of the garbage collector is running."""
    callbacks = [getattr(callback, "__code__", None) for callback in gc.callbacks]
    while frame is not None:
        if frame.f_code in callbacks:
            return True
        frame = frame.f_back
    return False
