"""Children that do what the seed of their Case says, so that the parent's side can be tested without a library."""

from __future__ import annotations

import contextlib
import ctypes
import enum
import json
import os
import signal
import time
from multiprocessing.connection import Connection
from typing import Any, Final

from fuzz.engine.pulse import Pulse, beside
from fuzz.engine.verdict import CAPTURE_FAILED, PathVerdict, Ruling, Symptom


class Do(enum.IntEnum):
    """What a child does with a Case of this seed."""

    ANSWER = 0
    FAIL = 1
    EXIT = 2
    KILL = 3
    HANG = 4
    LOSE_CONTEXT = 5
    BREAK = 6
    DIE_BEFORE = 7
    FAIL_REPEATED = 8
    JUDGE = 9
    FAIL_CAPTURE = 10


READY: Final[dict[str, Any]] = {
    "ready": {"version": "0", "fused": True},
    "system": {"bitsandbytes": "0.50.2", "torch": "2", "device": "cpu", "cpu": "none"},
    "note": "",
    "seconds": 0.01,
}


def serve(pipe: Connection, device: str, log: str, watchdog: float) -> None:  # noqa: ARG001 - the signature of a child
    """Answer until the pipe closes."""
    with open(log, "a", encoding="utf-8") as file:
        file.write("a line that the library printed\n")
    with contextlib.suppress(EOFError, OSError):  # the parent has hung up
        send(pipe, READY | {"system": READY["system"] | {"device": device}})
        pulse = Pulse(beside(log))
        while True:
            answer(pipe, pulse, json.loads(pipe.recv_bytes()))


def answer(pipe: Connection, pulse: Pulse, request: dict[str, Any]) -> None:
    """One path, `matmul_4bit`, that ends as the seed says."""
    number, what = request["id"], Do(request["case"]["seed"])
    if what is Do.DIE_BEFORE:
        os._exit(3)
    pending = PathVerdict(path="matmul_4bit", surface="functional.matmul_4bit", ruling=Ruling.VALID, source="a test")
    pulse.calls(number, pending.to_json())
    if what is Do.EXIT:
        ctypes.CDLL(None).exit(1)
    if what is Do.KILL:
        os.kill(os.getpid(), signal.SIGKILL)
    if what is Do.HANG:
        time.sleep(600)
    if what is Do.JUDGE:  # for longer than a call may take
        pulse.judges()
        time.sleep(1.5)
    if what is Do.BREAK:
        send(pipe, {"id": number, "broken": "ValueError: our own mistake"})
        return
    symptom = {Do.FAIL: Symptom.WRONG_SHAPE, Do.LOSE_CONTEXT: Symptom.CONTEXT_LOST}.get(what)
    if what is Do.FAIL_REPEATED and request["provoke"] == "REPETITION":
        symptom = Symptom.WRONG_VALUE
    verdict = pending.to_json() | {"symptom": symptom.value if symptom else None, "got": f"pid {os.getpid()}"}
    verdict["how"] = CAPTURE_FAILED if what is Do.FAIL_CAPTURE else ""
    send(pipe, {"id": number, "verdict": verdict})
    send(pipe, {"id": number, "done": True})
    if what in {Do.LOSE_CONTEXT, Do.FAIL_CAPTURE}:
        os._exit(0)


def serve_nothing(pipe: Connection, device: str, log: str, watchdog: float) -> None:  # noqa: ARG001
    """A child that cannot start, and says why."""
    send(pipe, {"failed": "no usable GPU: there is none"})


def serve_dead(pipe: Connection, device: str, log: str, watchdog: float) -> None:  # noqa: ARG001
    """A child that dies while it starts."""
    with open(log, "a", encoding="utf-8") as file:
        file.write("undefined symbol: cgemm_4bit_fp16\n")
    os._exit(127)


def send(pipe: Connection, message: dict[str, Any]) -> None:
    """One message of the child's protocol."""
    pipe.send_bytes(json.dumps(message).encode())
