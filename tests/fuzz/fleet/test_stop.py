"""Ctrl-C, once and twice."""

from __future__ import annotations

import signal

import pytest

from fuzz.fleet.stop import asked_to_stop


def test_the_first_one_waits_for_its_turn_and_the_second_one_does_not() -> None:
    before = signal.getsignal(signal.SIGINT)
    with asked_to_stop() as stopping:
        assert not stopping()
        signal.raise_signal(signal.SIGINT)
        assert stopping()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
