"""The part of a script that makes its call on a side stream, or captures it as a CUDA graph: the engine's own functions, quoted."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, Final

from reports.finding import Finding
from reports.script_calls import CALLS, REPLAYED, WEIGHT_ONLY, quantize_call
from strategies.case import CudaStream, Mode

REPLAY: Final = "replay"
"""How a finding is told of which two replays differ (`fuzz.engine.judge`), for those that must not import torch."""

_FOR_LINTERS: Final = re.compile(r" *# (type: ignore|noqa).*$", re.MULTILINE)


def is_on_side_stream(finding: Finding) -> bool:
    """Whether the call is a plain one, made on a side stream: a CPU has none."""
    execution = finding.case.execution
    return finding.system["device"] == "cuda" and execution.stream is CudaStream.SIDE and execution.mode is Mode.CALL


def stream_imports(finding: Finding) -> list[str]:
    """What the annotations of quoted functions name."""
    abstract = "from collections.abc import Callable, Sequence"
    if is_on_side_stream(finding):
        return [abstract, "from typing import TypeVar"]
    return [abstract] if finding.path in REPLAYED else []


def stream_sources(finding: Finding) -> str:
    """The functions that the call is made by; empty for a plain call."""
    if not stream_imports(finding):
        return ""
    from fuzz.engine import graphs, pending, poison, side_stream  # noqa: PLC0415 - imports torch, which a run without findings does not need

    used: list[Callable[..., Any]] = [poison.writable, poison.poison, side_stream.side_stream.__wrapped__]
    if finding.path in REPLAYED:
        constants = f"WARM_UPS = {graphs.WARM_UPS}"
        used += [graphs.CaptureError, graphs.warm_up, graphs.captured, graphs.replay, graphs.both_replays]
    else:
        constants = f'PENDING_CYCLES, SIDE_CYCLES = {pending.PENDING_CYCLES}, {pending.SIDE_CYCLES}\n_Result = TypeVar("_Result")'
        used += [pending.make_ready, pending.call_while_pending, pending.call_on_side_stream]
    sources = [_FOR_LINTERS.sub("", inspect.getsource(function)).strip() for function in used]
    return "\n\n\n".join([constants, *sources]) + "\n"


def quantized_on_stream(finding: Finding) -> list[str]:
    """The lines of a path that quantizes, on the stream of the Case."""
    if not is_on_side_stream(finding):
        return CALLS[finding.path](finding.case)
    return [f"packed, state = call_on_side_stream([weight], lambda: {quantize_call(finding.case)})"]


def called_on_stream(finding: Finding) -> list[str]:
    """The lines of the call, which end with `result`, on the stream of the Case."""
    lines = CALLS[finding.path](finding.case)
    if not is_on_side_stream(finding):
        return lines
    # Making a layer waits for the stream, because its weight comes from the memory of the CPU.
    before = len(lines) - 1 if finding.path == _LAYER else 0
    call = [f"    {line}" for line in lines[before:]]
    return [*lines[:before], "def on_stream():", *call, "    return result", f"result = call_on_side_stream([{_read(finding)}], on_stream)"]


_LAYER: Final = "linear4bit"


def _read(finding: Finding) -> str:
    """What the call reads, as `fuzz.engine.pending.read_by_calls` has it."""
    case = finding.case
    packed, state = ("layer.weight", "layer.weight.quant_state") if finding.path == _LAYER else ("packed", "state")
    nested = [f"{state}.offset", f"{state}.state2.absmax"] if case.quantization.compress_statistics else []
    operands = [] if finding.path in WEIGHT_ONLY else ["x", *(["bias"] if case.bias else [])]
    return ", ".join([*operands, packed, f"{state}.absmax", *nested])


def replay_check(call: list[str]) -> str:
    """Lines that make the call, which ends with two replays, `first` and `result`, and exit with 1 if they differ."""
    return "\n".join(
        [
            *call,
            "wrong = ~((first == result) | (first.isnan() & result.isnan()))",
            "place = int(wrong.flatten().int().argmax())",
            'print(f"expected: {float(first.flatten()[place]):.9g}, as from the first replay")',
            'print(f"got:      {float(result.flatten()[place]):.9g} at flat index {place}; {int(wrong.sum())} of {wrong.numel()} differ")',
            "sys.exit(bool(wrong.any()))",
        ]
    )
