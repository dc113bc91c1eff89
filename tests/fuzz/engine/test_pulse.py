"""What a child does can be read from outside, at any moment and after its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fuzz.engine.pulse import Pulse, beside, last_sign
from fuzz.engine.verdict import PathVerdict, Ruling
from fuzz.oracle.arms import Arm

PENDING = PathVerdict(
    path="matmul_4bit", surface="functional.matmul_4bit", ruling=Ruling.VALID, source="a document", arms=(Arm.SIMT.value,)
)


def test_the_last_sign_is_read(tmp_path: Path) -> None:
    pulse, before = Pulse(tmp_path / "pulse"), time.monotonic()
    pulse.calls(3, PENDING.to_json())
    sign = last_sign(tmp_path / "pulse")
    assert sign is not None
    assert (sign.request, sign.judging, sign.pending) == (3, False, PENDING)
    assert before <= sign.since <= time.monotonic()
    pulse.judges()
    later = last_sign(tmp_path / "pulse")
    assert later is not None
    assert (later.request, later.judging, later.pending) == (3, True, PENDING)
    assert later.since >= sign.since


def test_there_is_none_before_the_first_call(tmp_path: Path) -> None:
    assert last_sign(tmp_path / "missing") is None
    Pulse(tmp_path / "pulse")
    assert last_sign(tmp_path / "pulse") is None


def test_a_verdict_that_has_no_room_is_a_mistake_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a pending verdict of"):
        Pulse(tmp_path / "pulse").calls(1, PENDING.to_json() | {"source": "x" * 20_000})


def test_a_sign_is_whole_at_any_moment(tmp_path: Path) -> None:
    pulse, stop = Pulse(tmp_path / "pulse"), threading.Event()
    pulse.calls(0, PENDING.to_json())

    def beat() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            pulse.calls(number, PENDING.to_json() | {"source": str(number) * (number % 50)})

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        signs = [last_sign(tmp_path / "pulse") for _ in range(300)]
    finally:
        stop.set()
        thread.join()
    read = [sign for sign in signs if sign is not None]
    assert len(read) > 200, "nothing can be read while a child writes"
    assert all(sign.pending.source in {"a document", str(sign.request) * (sign.request % 50)} for sign in read)
    assert [sign.request for sign in read] == sorted(sign.request for sign in read)


def test_a_sign_outlives_its_process(tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from fuzz.engine.pulse import Pulse
Pulse(Path({str(tmp_path / "pulse")!r})).calls(7, {PENDING.to_json()!r})
os.kill(os.getpid(), signal.SIGKILL)
"""
    root = Path(__file__).resolve().parents[3]
    ended = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(root)}, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL
    sign = last_sign(tmp_path / "pulse")
    assert sign is not None
    assert (sign.request, sign.pending) == (7, PENDING)


def test_the_file_lies_beside_the_log() -> None:
    assert beside("somewhere/fuzz-child-1.log") == Path("somewhere/fuzz-child-1.log.pulse")
