"""The thread that calls something now and then."""

from __future__ import annotations

import threading

from fuzz.heartbeat import Heartbeat


def test_it_beats_until_it_is_stopped_and_not_after() -> None:
    beats, three = [0], threading.Event()

    def beat() -> None:
        beats[0] += 1
        if beats[0] == 3:
            three.set()

    heartbeat = Heartbeat(beat, 0.001)
    assert three.wait(60)
    heartbeat.stop()
    counted = beats[0]
    assert not [thread for thread in threading.enumerate() if thread.name == "heartbeat"]
    assert beats[0] == counted


def test_it_does_not_begin_with_a_beat() -> None:
    beats: list[None] = []
    Heartbeat(lambda: beats.append(None), 600).stop()
    assert beats == []
