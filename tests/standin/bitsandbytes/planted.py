"""Faults that can be switched on, each with a known smallest input: what the fuzzer must find, and nothing else.

The environment variable PLANTED_FAULTS names them, separated by commas. A fault lives in one function and acts on the
calls that have passed that function's own checks and meet the fault's condition. Its condition is on the arguments
alone, so that the smallest failing input is known; `flaky` then acts in one call of two. No function here is built on
another one that may have a fault, so that each fault shows on one path only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch

VARIABLE: Final = "PLANTED_FAULTS"


@dataclass(frozen=True, slots=True)
class Call:
    """The arguments of a call, as far as a condition may look at them. `shape` is that of the quantized weight."""

    shape: Sequence[int]
    blocksize: int
    quant_type: str = ""
    nested: bool = False
    activation: torch.Tensor | None = None
    bias: torch.Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One defect.

    Attributes:
        function: where it lives.
        condition: when it acts.
        effect: what it makes of the right result, if it returns at all.
    """

    name: str
    function: str
    condition: Callable[[Call], bool]
    effect: Callable[[torch.Tensor], torch.Tensor]


def _exit(result: torch.Tensor) -> torch.Tensor:
    # As C code does it: no Python exception, no cleanup of the interpreter.
    ctypes.CDLL(None).exit(1)
    return result


def _kill(result: torch.Tensor) -> torch.Tensor:
    os.kill(os.getpid(), signal.SIGKILL)
    return result


def _hang(result: torch.Tensor) -> torch.Tensor:
    time.sleep(3600)
    return result


def _raise(result: torch.Tensor) -> torch.Tensor:
    raise RuntimeError(f"planted: no bias for a result of shape {tuple(result.shape)}")


def _add_dimension(result: torch.Tensor) -> torch.Tensor:
    return result.unsqueeze(0)


def _spoil_last(result: torch.Tensor) -> torch.Tensor:
    spoilt = result.clone()
    spoilt[-1, -1] = spoilt[-1, -1] * 1.5 + 1
    return spoilt


def _spoil_now_and_then(result: torch.Tensor) -> torch.Tensor:
    # As a race does it: neither the arguments nor a seed decide.
    return _spoil_last(result) if os.urandom(1)[0] % 2 else result


def _several_rows(call: Call) -> bool:
    return call.activation is not None and call.activation.shape[:-1].numel() > 1


def _shift(result: torch.Tensor) -> torch.Tensor:
    # Wrong everywhere, and never out of the range of a 16-bit dtype, which would be another symptom.
    return 1 / 3 - result / 2


def _narrow(call: Call) -> bool:
    return call.activation is not None and call.activation.dtype is not torch.float32


def _rows(call: Call) -> int:
    return 0 if call.activation is None else call.activation.numel() // call.activation.shape[-1]


FAULTS: Final = (
    Fault(name="exit", function="ops.gemm_4bit", condition=lambda call: call.shape[0] >= 33, effect=_exit),
    Fault(
        name="sigkill",
        function="functional.gemv_4bit",
        condition=lambda call: call.quant_type == "fp4" and call.blocksize >= 128,
        effect=_kill,
    ),
    Fault(name="hang", function="ops.gemv_4bit.out", condition=lambda call: call.shape[1] >= 96, effect=_hang),
    Fault(name="exception", function="nn.Linear4bit", condition=lambda call: call.bias is not None, effect=_raise),
    Fault(
        name="shape",
        function="matmul_4bit",
        condition=lambda call: call.activation is not None and call.activation.dtype is torch.bfloat16,
        effect=_add_dimension,
    ),
    Fault(
        name="value",
        function="functional.dequantize_4bit",
        condition=lambda call: call.nested and call.quant_type == "nf4",
        effect=_spoil_last,
    ),
    # One loud fault and four quiet ones on one path with one symptom: they fail about 60 % and 0.5 % of all cases.
    Fault(name="loud", function="matmul_4bit", condition=_narrow, effect=_shift),
    Fault(
        name="quiet_blocks",
        function="matmul_4bit",
        condition=lambda call: call.quant_type == "fp4" and call.nested and call.blocksize == 1024 and call.bias is not None,
        effect=_shift,
    ),
    Fault(
        name="quiet_rows",
        function="matmul_4bit",
        condition=lambda call: (
            _rows(call) >= 50 and not call.nested and call.blocksize == 32 and call.quant_type == "nf4" and call.bias is not None
        ),
        effect=_shift,
    ),
    Fault(
        name="quiet_odd",
        function="matmul_4bit",
        condition=lambda call: (
            call.shape[1] % 2 == 1 and call.shape[1] >= 33 and call.nested and call.blocksize == 128 and call.quant_type == "nf4"
        ),
        effect=_shift,
    ),
    Fault(
        name="quiet_rank",
        function="matmul_4bit",
        condition=lambda call: (
            call.activation is not None
            and call.activation.dim() == 3
            and call.shape[0] % 32 == 0
            and call.quant_type == "fp4"
            and call.blocksize == 64
            and not call.nested
            and call.bias is None
        ),
        effect=_shift,
    ),
    Fault(name="flaky", function="nn.Linear4bit", condition=_several_rows, effect=_spoil_now_and_then),
)


def _switched_on() -> tuple[Fault, ...]:
    names = {name for name in os.environ.get(VARIABLE, "").split(",") if name}
    if unknown := sorted(names - {fault.name for fault in FAULTS}):
        raise ValueError(f"{VARIABLE} names {unknown[0]!r}; known are {', '.join(fault.name for fault in FAULTS)}")
    return tuple(fault for fault in FAULTS if fault.name in names)


_ACTIVE: Final = _switched_on()


def disturb(function: str, call: Call, result: torch.Tensor) -> torch.Tensor:
    """The right `result` of a call of `function`, or what the faults that are switched on make of it."""
    for fault in _ACTIVE:
        if fault.function == function and fault.condition(call):
            result = fault.effect(result)
    return result
