"""Ctrl-C is raised at once where it can be, and at the next Case where it cannot."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from fuzz.interruption import Interruption


@pytest.fixture
def interruption() -> Iterator[Interruption]:
    """One that listens."""
    before = signal.getsignal(signal.SIGINT)
    listening = Interruption()
    listening.listen()
    yield listening
    listening.restore()
    assert signal.getsignal(signal.SIGINT) is before


def press() -> None:
    """What Ctrl-C does."""
    os.kill(os.getpid(), signal.SIGINT)


def test_nothing_is_raised_unless_it_was_asked_for(interruption: Interruption) -> None:
    interruption.check()


def test_it_is_raised_at_once(interruption: Interruption) -> None:
    with pytest.raises(KeyboardInterrupt):
        press()
    with pytest.raises(KeyboardInterrupt):
        interruption.check()


def test_in_a_collection_of_garbage_it_waits_for_the_next_case(interruption: Interruption) -> None:
    """Were it raised there, Python would only print it, and pytest would take it for a failure of the test."""

    def callback(phase: str, info: dict[str, Any]) -> None:  # noqa: ARG001
        if phase == "stop":
            press()

    gc.callbacks.append(callback)
    try:
        gc.collect()
    finally:
        gc.callbacks.remove(callback)
    with pytest.raises(KeyboardInterrupt):
        interruption.check()


def test_a_signal_that_is_switched_off_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        listening = Interruption()
        listening.listen()
        press()
        listening.check()
        listening.restore()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
