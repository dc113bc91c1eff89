"""The executor: Cases in, results out, whatever happens to the child that owns the device.

A death, an exit from C code, a lost CUDA context or silence past the watchdog becomes a verdict with its Case in hand;
a spare that was started beforehand takes over and the Cases that were waiting are sent to it.
"""

from __future__ import annotations

import dataclasses
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from fuzz.engine import worker
from fuzz.engine.child import Child, Serve, fork_context, now
from fuzz.engine.provocation import Provocation
from fuzz.engine.turn import GPU
from fuzz.engine.verdict import CaseResult, PathVerdict, Symptom
from strategies.case import Case

PIPELINE: Final = 8
"""Cases that are sent ahead: enough to hide the pipe, few enough to be sent again after a death."""

START_TIMEOUT: Final = 180.0
"""Seconds for the first sign of life; a cold start of torch and bitsandbytes takes about 9 on one H200."""

MAX_ATTEMPTS: Final = 3
"""Children that may end before they begin with a Case, until it counts as a failure of the harness."""

SPARES: Final = max(1, min(4, (os.cpu_count() or 1) // 4))
"""Children that wait, started: reducing a failure that ends the child uses them up one after the other."""

DEFAULT_WATCHDOG: Final = 20.0
"""Seconds of silence on one path before it counts as a hang; a path takes milliseconds."""


class HarnessError(RuntimeError):
    """The child cannot run at all: bitsandbytes is missing, the device is unusable, or our own code failed."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What a child says when it has started, and how many seconds it took after the fork."""

    library: dict[str, Any]
    system: dict[str, str]
    note: str
    seconds: float


Callback = Callable[[CaseResult], None]


@dataclass(slots=True)
class _Request:
    case: Case
    only: Sequence[str] | None
    skip: Sequence[str]
    callback: Callback
    profile: bool = False
    provocation: Provocation = Provocation.NONE
    survey: bool = False
    number: int = 0  # given when it is queued
    attempts: int = 0
    verdicts: list[PathVerdict] = field(default_factory=list)
    since: float = field(default_factory=now)


class Executor:
    """Runs Cases in a child process. A context manager; not for use from several threads.

    Args:
        device: "auto", "cpu" or "cuda".
        watchdog: seconds of silence that make a hang.
        spares: children that are kept started, so that a death costs no start.
        serve: what the children run; the tests have others.
    """

    def __init__(
        self,
        device: str = "auto",
        watchdog: float = DEFAULT_WATCHDOG,
        *,
        spares: int = SPARES,
        serve: Serve = worker.serve,
    ) -> None:
        self._device, self.watchdog, self._wanted, self._serve = device, watchdog, spares, serve
        self._context = fork_context(device)
        self._child: Child | None = None
        self._spares: deque[Child] = deque()
        self._queue: deque[_Request] = deque()
        self._numbers = 0
        self._ticket: object | None = None
        self._is_fresh = False  # the child took over, and has not answered yet
        self._asked = 0.0  # when it was asked first
        self.replaced = 0
        self.recovery_seconds = 0.0
        self.ready: Ready | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def start(self) -> Ready:
        """Start the first child and wait until it has looked at bitsandbytes and the device.

        Raises:
            HarnessError: it cannot run, with the reason.
        """
        if self._child is None:
            self._child = self._take_child()
        if self.ready is None:
            raise HarnessError("the child did not say what it runs on")
        return self.ready

    def close(self) -> None:
        """End the children. Cases that wait are dropped."""
        self._queue.clear()
        children = [*self._spares, *([self._child] if self._child else [])]
        for child in children:
            child.hang_up()
        for child in children:
            child.close()
        self._child = None
        self._spares.clear()
        self._give_back()

    def submit(self, case: Case, callback: Callback, only: Sequence[str] | None = None, skip: Sequence[str] = ()) -> None:
        """Queue `case` and return as soon as there is room; `callback` gets the result, here or in a later call.

        Raises:
            HarnessError: the child reported a mistake of ours, or cannot be started.
        """
        if GPU.wanted:
            self.drain()
        self._enqueue(_Request(case, only, skip, callback))
        while len(self._queue) >= PIPELINE or (self._child is not None and self._queue and self._child.has_message):
            self._step()

    def run(
        self,
        case: Case,
        only: Sequence[str] | None = None,
        *,
        profile: bool = False,
        provocation: Provocation = Provocation.NONE,
        survey: bool = False,
    ) -> CaseResult:
        """Run `case` and wait for its result (and for all that was queued before it).

        Args:
            case: the input.
            only: names of paths; None for all.
            profile: let a failing verdict name the kernels that its path launches.
            provocation: how the calls are made.
            survey: let every verdict name them that says of a path that it is right.

        Raises:
            HarnessError: as for `submit`.
        """
        results: list[CaseResult] = []
        self._enqueue(_Request(case, only, (), results.append, profile, provocation, survey))
        self.drain()
        return results[0]

    def drain(self) -> None:
        """Wait for everything that is queued."""
        while self._queue:
            self._step()
        self._give_back()

    def _enqueue(self, request: _Request) -> None:
        self.start()
        self._take_turn()
        self._numbers += 1
        request.number, request.since = self._numbers, now()
        if not self._queue:
            self._asked = request.since
        self._queue.append(request)
        self._send(request)

    def _take_turn(self) -> None:
        if self._ticket is None and self.ready is not None and self.ready.system["device"] == "cuda":
            self._ticket = GPU.take()

    def _give_back(self) -> None:
        if self._ticket is not None:
            GPU.give_back(self._ticket)
            self._ticket = None

    def _send(self, request: _Request) -> None:
        only = None if request.only is None else list(request.only)
        message = {
            "id": request.number,
            "case": request.case.to_json(),
            "only": only,
            "skip": list(request.skip),
            "profile": request.profile,
            "survey": request.survey,
            "provoke": request.provocation.name,
        }
        if self._child is not None:
            self._child.send(message)  # if the child is dead, the next step sees it and sends this again

    def _step(self) -> None:
        child, head = self._child, self._queue[0]
        if child is None:
            raise HarnessError("the executor is closed")
        try:
            message = child.receive(head.since + self.watchdog - now())
        except TimeoutError:
            if not self._is_alive(child, head):
                self._replace(Symptom.HANG)
            return
        if message is None:
            self._replace(Symptom.PROCESS_DIED)
        elif "broken" in message:
            raise HarnessError(f"the harness failed on a Case: {message['broken']}\n{head.case.to_json()}")
        elif "verdict" in message:
            head.verdicts.append(PathVerdict.from_json(message["verdict"]))
        else:
            self._finish()

    def _is_alive(self, child: Child, head: _Request) -> bool:
        """Whether the child has said what it does since the watchdog was set, and has time left for that."""
        sign = child.sign()
        if sign is None or sign.request != head.number:
            return False
        head.since = sign.since + (worker.JUDGING - 1) * self.watchdog * sign.judging
        return head.since + self.watchdog > now()

    def _finish(self) -> None:
        head = self._queue.popleft()
        if self._queue:
            self._queue[0].since = now()
        self._recovered()
        result = CaseResult(tuple(head.verdicts))
        if any(verdict.symptom is Symptom.CONTEXT_LOST for verdict in result.failures):
            GPU.lost()
        if any(verdict.ends_child for verdict in result.verdicts):
            self._take_over()
        else:
            GPU.answered(head.since)
        head.callback(result)

    def _replace(self, symptom: Symptom) -> None:
        """Turn the end of the child into a verdict on the Case that it was running."""
        child, head = self._child, self._queue[0]
        if child is None:
            raise HarnessError("the executor is closed")
        hangs = symptom is Symptom.HANG
        began = head.since if hangs else now()  # waiting for the watchdog is part of what a hang costs
        how, sign = child.end(grace=0.0 if hangs else 0.5), child.sign()
        words = child.last_words()
        self.recovery_seconds += now() - began
        self._recovered()
        if sign is None or sign.request != head.number:  # it ended between two Cases; nobody is to blame, the queue is sent again
            head.attempts += 1
            if head.attempts >= MAX_ATTEMPTS:
                raise HarnessError(f"the child ended {head.attempts} times between two Cases ({how}): {words}")
            self._take_over()
            return
        seconds = f"no sign of life for {self.watchdog:g} s"
        verdict = dataclasses.replace(
            sign.pending,
            symptom=symptom,
            how="" if hangs else how,
            expected="a result or a Python exception",
            got=seconds if hangs else f"the process ended: {how}" + (f"\n{words}" if words else ""),
        )
        self._queue.popleft()
        if hangs:  # each of the Cases behind it may cost the watchdog again before anybody can react
            for request in self._queue:
                request.skip = [*request.skip, verdict.path]
        self._take_over()
        head.callback(CaseResult((*head.verdicts, verdict)))

    def _take_over(self) -> None:
        self.replaced += 1
        began = now()
        self._give_back()  # a start takes long enough for others to get on
        self._child = self._take_child()
        self.recovery_seconds += now() - began
        self._is_fresh, self._asked = True, now()
        if self._queue:
            self._take_turn()
        for request in self._queue:
            request.since, request.verdicts = now(), []
            self._send(request)

    def _recovered(self) -> None:
        """The first answer of a child costs a quarter of a second on a GPU, which is a part of what the end of the last one costs."""
        if self._is_fresh:
            self.recovery_seconds += now() - self._asked
            self._is_fresh = False

    def _take_child(self) -> Child:
        """A child that is ready: the oldest spare if there is one. Then start new spares."""
        child = self._spares.popleft() if self._spares else self._new_child()
        self.ready = _wait_ready(child)
        while len(self._spares) < self._wanted:
            self._spares.append(self._new_child())
        return child

    def _new_child(self) -> Child:
        return Child(self._context, self._device, self.watchdog, self._serve)


def _wait_ready(child: Child) -> Ready:
    try:
        message = child.receive(START_TIMEOUT)
    except TimeoutError:
        child.end()
        raise HarnessError(f"the child did not start within {START_TIMEOUT:g} s: {child.last_words()}") from None
    if message is None:
        how = child.end()
        raise HarnessError(f"the child ended while it started ({how}): {child.last_words()}")
    if "failed" in message:
        child.end()
        child.last_words()
        raise HarnessError(message["failed"])
    return Ready(message["ready"], message["system"], message["note"], message["seconds"])
