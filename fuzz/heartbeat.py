"""Calls something now and then while the process waits for others."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread


class Heartbeat:
    """A thread that calls `beat` every so many seconds, until it is stopped. pytest-xdist's controller has no hook for it.

    Args:
        beat: called in the thread.
        interval: seconds.
    """

    def __init__(self, beat: Callable[[], None], interval: float) -> None:
        self._beat, self._interval, self._over = beat, interval, Event()
        self._thread = Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for a beat that is under way."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._interval):
            self._beat()
