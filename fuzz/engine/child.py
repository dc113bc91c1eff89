"""One child process, seen from the parent: start, send, wait for a message with a deadline, end."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import multiprocessing.context
import multiprocessing.forkserver
import os
import re
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Final

from fuzz.engine import worker
from fuzz.engine.driver import has_driver
from fuzz.engine.pulse import Sign, beside, last_sign

LOG_TAIL: Final = 600
"""Characters of a dead child's output that are kept as evidence."""

JOIN_TIMEOUT: Final = 10.0

PROJECT: Final = Path(__file__).resolve().parents[2]
"""The folder that children must find the project's packages in."""

_STACKS: Final = re.compile(r"\n(?:Current thread|Thread) 0x")
"""Where faulthandler's dump of Python stacks begins, which is ours and says nothing about the defect."""


_NO_GPU: Final = {"CUDA_VISIBLE_DEVICES": ""}
"""With this, bitsandbytes loads its CPU library and leaves the GPU alone."""


def fork_context(device: str) -> multiprocessing.context.ForkServerContext:
    """The fork server's context: children are forked from a process that has preloaded torch and bitsandbytes.

    It cuts a cold start of several seconds to a fraction. The fork server is one per Python process and is made for
    one kind of device; for the other kind it is started again.

    Args:
        device: "auto", "cpu" or "cuda".
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fuzz.engine.preload"])
    changes = _NO_GPU if device == "cpu" and has_driver() else {}
    if _made_for not in ([], [changes]):
        multiprocessing.forkserver._forkserver._stop()  # type: ignore[attr-defined]  # noqa: SLF001 - there is no other way
    _made_for[:] = [changes]
    paths = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    with _environment({"PYTHONPATH": paths, **changes}):
        multiprocessing.forkserver.ensure_running()
    return context


_made_for: Final[list[dict[str, str]]] = []
"""What the environment of the fork server was changed by; empty before there is one."""


@contextlib.contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


Serve = Callable[[Connection, str, str, float], None]
"""What a child runs: pipe, device, log file, watchdog; see `fuzz.engine.worker.serve`."""


class Child:
    """A running child. Starts at once, and says so in its first message."""

    def __init__(
        self,
        context: multiprocessing.context.ForkServerContext,
        device: str,
        watchdog: float,
        serve: Serve = worker.serve,
    ) -> None:
        handle, log = tempfile.mkstemp(prefix="fuzz-child-", suffix=".log")
        os.close(handle)
        self._log = Path(log)
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, device, log, watchdog), daemon=True)
        self._process.start()
        theirs.close()

    def send(self, message: dict[str, Any]) -> bool:
        """Send a request; False if the child can no longer be reached."""
        try:
            self._pipe.send_bytes(json.dumps(message).encode())
        except OSError:
            return False
        return True

    def receive(self, timeout: float) -> dict[str, Any] | None:
        """The next message; None if the child died.

        Raises:
            TimeoutError: nothing came within `timeout` seconds.
        """
        if not wait([self._pipe], max(timeout, 0.0)):
            raise TimeoutError
        try:
            message: dict[str, Any] = json.loads(self._pipe.recv_bytes())
        except (EOFError, OSError):
            return None
        return message

    def sign(self) -> Sign | None:
        """What the child was doing when it last said so; None if it has called nothing yet."""
        return last_sign(beside(self._log))

    @property
    def has_message(self) -> bool:
        """Whether a message, or the end of the child, is waiting."""
        return bool(wait([self._pipe], 0))

    def end(self, grace: float = 0.5) -> str:
        """Reap the child, killing it if it still runs after `grace` seconds, and say how it ended: "exit status 1", "SIGSEGV"."""
        self._stop(grace)
        return describe_exit(self._process.exitcode)

    def hang_up(self) -> None:
        """Tell an idle child to end, without waiting for it."""
        self._pipe.close()

    def close(self) -> None:
        """Let an idle child go: it ends when its pipe closes."""
        self._stop(grace=2.0)
        self._remove_files()

    def _stop(self, grace: float) -> None:
        self._pipe.close()
        self._process.join(grace)
        if self._process.exitcode is None:
            self._process.kill()
        self._process.join(JOIN_TIMEOUT)

    def _remove_files(self) -> None:
        for file in (self._log, beside(self._log)):
            file.unlink(missing_ok=True)

    def last_words(self) -> str:
        """The end of what the child printed. Its files are removed."""
        try:
            text = self._log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        finally:
            self._remove_files()
        return _STACKS.split(text)[0][-LOG_TAIL:].strip()


def describe_exit(code: int | None) -> str:
    """A child's end in words that are the same in every run."""
    if code is None:
        return "did not end"
    if code < 0:
        return signal.Signals(-code).name
    return f"exit status {code}"


def now() -> float:
    """Monotonic seconds."""
    return time.monotonic()
