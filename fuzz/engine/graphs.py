"""CUDA graphs: a call is captured, then replayed with other numbers in the memory that it reads.

As torch documents it (docs.pytorch.org, notes on CUDA semantics, "CUDA Graphs"): warm up on a side stream, capture with
`torch.cuda.graph`, fill the memory of the captured inputs, replay. Scripts quote these functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import torch

from fuzz.engine.poison import poison, writable
from fuzz.engine.side_stream import side_stream

WARM_UPS: Final = 3
"""Calls before the capture, as in torch's own example. The first one of a shape may choose an algorithm or load a kernel, which
cannot be captured."""


class CaptureError(RuntimeError):
    """A call could not be captured; the context is alive. Torch may not be what it was before, such as its allocator."""


class UnequalReplaysError(RuntimeError):
    """Two replays of one graph, with the same numbers in the same memory, gave different results."""


def replayed(tensors: Sequence[torch.Tensor], call: Callable[[], torch.Tensor]) -> torch.Tensor:
    """What the second of two replays gives; the arguments are those of `both_replays`.

    Raises:
        UnequalReplaysError: the replays differ.
        Exception: as for `both_replays`.
    """
    first, second = both_replays(tensors, call)
    differ = ~((first == second) | (first.isnan() & second.isnan()))
    if bool(differ.any()):
        flat = int(differ.flatten().int().argmax())
        one, other = float(first.flatten()[flat]), float(second.flatten()[flat])
        count = f"{int(differ.sum())} of {differ.numel()} outputs differ"
        raise UnequalReplaysError(f"{one:.9g}, then {other:.9g} at flat index {flat}; {count}")
    return second


def both_replays(tensors: Sequence[torch.Tensor], call: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """What two replays give, as copies in memory that is no graph's.

    While the call is captured `tensors` hold poison, and so does the result before each replay: what the graph does not
    read or write anew is seen. Afterwards `tensors` hold what they held at first.

    Args:
        tensors: memory on the GPU that `call` reads and that is filled anew after the capture.
        call: returns a tensor of a floating dtype, which it made itself.

    Raises:
        CaptureError: the call raises while it is captured, or does what cannot be captured.
        Exception: what the call raises before it is captured, and every error of the device.
    """
    tensors = [writable(tensor) for tensor in tensors]
    values = [tensor.clone() for tensor in tensors]
    for tensor in tensors:
        poison(tensor)
    try:
        graph, result = captured(call)
    finally:
        for tensor, value in zip(tensors, values, strict=True):
            tensor.copy_(value)
    replays = replay(graph, result), replay(graph, result)
    torch.cuda.synchronize()  # the graph ends with this function
    return replays


def replay(graph: torch.cuda.CUDAGraph, result: torch.Tensor) -> torch.Tensor:
    """A copy of what a replay writes to memory that held poison before."""
    poison(result)
    graph.replay()
    return result.clone()


def captured(call: Callable[[], torch.Tensor]) -> tuple[torch.cuda.CUDAGraph, torch.Tensor]:
    """A graph of `call`, and the tensor that each of its replays writes to.

    Raises:
        CaptureError: the call could not be captured.
        Exception: what the call raises before it is captured, and every error of the device.
    """
    warm_up(call)
    graph, before = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
    try:
        with torch.cuda.graph(graph):
            result = call().detach()
    except Exception as error:
        torch.cuda.set_stream(before)  # `torch.cuda.graph` stays on its own stream if the capture cannot be ended
        torch.cuda.synchronize()  # a context that is lost says so, by another exception
        first = error.__context__ or error  # what could not be captured, and not that the capture cannot be ended for it
        # Torch calls it a CUDA error that something is not permitted during a capture.
        reason = str(first).partition("\n")[0].replace("CUDA error: ", "")
        raise CaptureError(f"while it was captured: {type(first).__name__}: {reason}") from error
    return graph, result


def warm_up(call: Callable[[], torch.Tensor]) -> None:
    """Make the call on a side stream until it only does what it always does.

    Raises:
        Exception: whatever the call raises, and every error of the device.
    """
    side = side_stream()
    side.wait_stream(torch.cuda.current_stream())
    try:
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                call()
    finally:
        torch.cuda.synchronize()
