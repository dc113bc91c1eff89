"""Children that do what the blocksize of their Case says: unlike its seed, nothing but a reduction changes that."""

from __future__ import annotations

import contextlib
import json
from multiprocessing.connection import Connection
from typing import Any, Final

from fuzz.engine.pulse import Pulse, beside
from strategies.case import Case, Quantization, Weight
from tests.fuzz.engine.fake_child import READY, Do, answer, send

BLOCKSIZES: Final = {
    Do.ANSWER: 64,
    Do.FAIL: 32,
    Do.EXIT: 128,
    Do.KILL: 256,
    Do.LOSE_CONTEXT: 512,
}
_DOES: Final = {blocksize: what for what, blocksize in BLOCKSIZES.items()}

BREAKING: Final = Case(weight=Weight(in_features=4321))
"""A Case of this width meets a mistake of the harness. No reduction comes by."""


def case(what: Do) -> Case:
    """The dullest Case with which a child does this."""
    return Case(quantization=Quantization(blocksize=BLOCKSIZES[what]))


def serve(pipe: Connection, device: str, log: str, watchdog: float) -> None:  # noqa: ARG001 - the signature of a child
    """Answer until the pipe closes. Other paths than `matmul_4bit` do not take the Case."""
    with contextlib.suppress(EOFError, OSError):  # the parent has hung up
        send(pipe, READY)
        pulse = Pulse(beside(log))
        while True:
            request = json.loads(pipe.recv_bytes())
            only = request["only"]
            if "matmul_4bit" in request["skip"] or (only is not None and "matmul_4bit" not in only):
                send(pipe, {"id": request["id"], "done": True})
                continue
            request["case"]["seed"] = int(_what(request["case"]))
            answer(pipe, pulse, request)


def _what(case: dict[str, Any]) -> Do:
    if case["weight"]["in_features"] == BREAKING.weight.in_features:
        return Do.BREAK
    return _DOES.get(case["quantization"]["blocksize"], Do.ANSWER)
