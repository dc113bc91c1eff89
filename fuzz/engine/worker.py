"""The child: owns the device. Reads Cases, answers verdicts, as JSON over a pipe.

It may die, hang or lose its CUDA context at any moment; the parent makes a verdict of that too.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import sys
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any, Final

from fuzz.engine.provocation import Provocation
from fuzz.engine.pulse import Pulse, beside
from fuzz.engine.verdict import PathVerdict
from strategies.case import Case

JUDGING: Final = 10
"""Watchdogs that a judgement may take. It is our own work, and takes seconds where a weight is large and a processor busy."""

ORPHAN_GRACE: Final = 30.0
"""Seconds after the longest that a judgement may take at which a silent child ends itself, in case its parent was killed."""

ALARM_INTERVAL: Final = 1.0
"""Seconds in which the end of a silent child is put off no more than once: that starts a thread, and costs as much as a call."""


def serve(pipe: Connection, device: str, log: str, watchdog: float) -> None:
    """Answer requests until the parent hangs up; see `_serve`."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        _serve(pipe, device, log, watchdog)


def _serve(pipe: Connection, device: str, log: str, watchdog: float) -> None:
    """Answer requests until the pipe closes. Runs in the child, never returns to its caller's stack.

    Args:
        pipe: requests in, answers out.
        device: "auto", "cpu" or "cuda".
        log: file that takes what this process and its C code print.
        watchdog: seconds that the parent waits for a sign of life.
    """
    _redirect_output(log)
    alarm = _Alarm(JUDGING * watchdog + ORPHAN_GRACE)
    try:
        library = _start(pipe, device)
    except Exception as error:  # noqa: BLE001 - whatever keeps the child from starting is the parent's to report
        traceback.print_exc()
        ours = type(error).__module__.startswith("fuzz.")
        _send(pipe, {"failed": str(error) if ours else f"{type(error).__name__}: {error}"})
        return
    pulse = Pulse(beside(log))
    while (request := _receive(pipe, alarm)) is not None:
        if not _answer(pipe, pulse, request, library, alarm):
            os._exit(0)  # the CUDA context is lost, or a capture failed; tidying up might fail


class _Alarm:
    """Ends this process when it has been silent for some seconds, also if it hangs in C code."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._put_off = seconds, -ALARM_INTERVAL

    def put_off(self) -> None:
        """Begin to count anew."""
        if time.monotonic() - self._put_off >= ALARM_INTERVAL:
            faulthandler.dump_traceback_later(self._seconds, exit=True)
            self._put_off = time.monotonic()

    def stop(self) -> None:
        """Wait for as long as it takes."""
        faulthandler.cancel_dump_traceback_later()
        self._put_off = -ALARM_INTERVAL


def _redirect_output(log: str) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    faulthandler.enable(file=sys.stderr)


def _start(pipe: Connection, device: str) -> Any:
    began = time.monotonic()
    import fuzz.engine.environment  # noqa: F401, PLC0415 - sets the environment where no fork server has done so

    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # bitsandbytes then loads its CPU library and leaves the GPU alone
    from fuzz.engine import devices, library, runner, switches  # noqa: PLC0415

    chosen = devices.choose(device)
    found = library.inspect_library(chosen.name)
    switches.set_and_check()
    runner.quiet()
    note = "; ".join(part for part in (chosen.note, _calibration_note(found)) if part)
    _send(pipe, {"ready": found.to_json(), "system": library.system_info(found), "note": note, "seconds": time.monotonic() - began})
    return found


def _calibration_note(library: Any) -> str:
    """What a run on a device without a calibration leaves out."""
    from fuzz.oracle.calibration import find  # noqa: PLC0415 - imports torch

    if find(library.device_name, library.version) is not None:
        return ""
    return (
        f"no calibration for {library.device_name} with bitsandbytes {library.version}, so that numbers are judged by proven bounds only, "
        "which single wrong elements of long sums may not exceed; `python -m fuzz calibrate` makes one"
    )


def _answer(pipe: Connection, pulse: Pulse, request: dict[str, Any], library: Any, alarm: _Alarm) -> bool:
    from fuzz.engine import runner  # noqa: PLC0415

    number = request["id"]
    pending: PathVerdict | None = None

    def announce(verdict: PathVerdict) -> None:
        nonlocal pending
        pending = verdict
        alarm.put_off()  # anew for each path, and each time that it is repeated
        pulse.calls(number, verdict.to_json())

    def judging() -> None:
        alarm.put_off()
        pulse.judges()

    spent = False
    try:
        provocation = Provocation[request["provoke"]]
        asked = {name: request[name] for name in ("only", "skip", "profile", "survey")}
        selected = runner.Selection(**asked, provocation=provocation)
        for verdict in runner.run_case(Case.from_json(request["case"]), library, announce, selected, judging):
            _send(pipe, {"id": number, "verdict": verdict.to_json()})
            spent = spent or verdict.ends_child
    except Exception as error:  # noqa: BLE001 - a mistake of ours, or a context that was lost outside of a path
        traceback.print_exc()
        if pending is None or not runner.is_device_error(error):
            _send(pipe, {"id": number, "broken": f"{type(error).__name__}: {error}"})
            return True
        spent = True
        _send(pipe, {"id": number, "verdict": runner.context_lost(pending, error).to_json()})
    _send(pipe, {"id": number, "done": True})
    return not spent


def _send(pipe: Connection, message: dict[str, Any]) -> None:
    pipe.send_bytes(json.dumps(message, allow_nan=False).encode())


def _receive(pipe: Connection, alarm: _Alarm) -> dict[str, Any] | None:
    if not pipe.poll():
        alarm.stop()  # nothing to do is no silence
    try:
        message: dict[str, Any] = json.loads(pipe.recv_bytes())
    except (EOFError, OSError):
        return None
    alarm.put_off()
    return message
