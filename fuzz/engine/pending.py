"""A call whose inputs are still being written: what reads them on another stream, or too early, reads poison.

Scripts quote all functions but `read_by_calls`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import torch

from fuzz.engine.calls import Prepared
from fuzz.engine.poison import poison, writable
from fuzz.engine.side_stream import side_stream

PENDING_SECONDS: Final = 0.05
"""How long the inputs stay poisoned after the call is made: it takes well under a millisecond to queue its kernels."""

CLOCK: Final = 2.0e9
"""Cycles a second that a GPU is taken to make: an H200 makes 1.98e9 at most. A slower clock only makes it longer."""

PENDING_CYCLES: Final = int(PENDING_SECONDS * CLOCK)

SIDE_CYCLES: Final = PENDING_CYCLES // 5
"""The same for calls on a side stream, which every run makes by the hundred. Each is made twice, so that the second only queues."""

_Result = TypeVar("_Result")


def read_by_calls(prepared: Prepared) -> list[torch.Tensor]:
    """What the calls read of a Case and an earlier kernel may have made: all but the constant code tables."""
    state, packed = prepared.state, prepared.packed
    if prepared.layer is not None:
        packed, state = prepared.layer.weight, prepared.layer.weight.quant_state
    outer = state.state2.absmax if state.nested else None
    offset = state.offset if state.nested else None
    found = (prepared.activation, prepared.bias, packed, state.absmax, offset, outer)
    return [tensor for tensor in found if isinstance(tensor, torch.Tensor)]


def call_while_pending(tensors: Sequence[torch.Tensor], call: Callable[[], _Result], cycles: int = PENDING_CYCLES) -> _Result:
    """Make `call` at once after a long kernel and the copies that write `tensors` were queued on the current stream.

    Before that they hold poison, afterwards what they held at first.

    Args:
        tensors: what `call` reads on the GPU.
        call: is made twice; see `make_ready`.
        cycles: of the GPU's clock that the long kernel takes.
    """
    tensors = [writable(tensor) for tensor in tensors]
    values = [tensor.clone() for tensor in tensors]
    for tensor in tensors:
        poison(tensor)
    make_ready(call)
    # Torch's own tests of streams keep a stream busy like this; there is no public function for it.
    torch.cuda._sleep(cycles)  # type: ignore[no-untyped-call]  # noqa: SLF001
    for tensor, value in zip(tensors, values, strict=True):
        tensor.copy_(value)
    return call()


def call_on_side_stream(tensors: Sequence[torch.Tensor], call: Callable[[], _Result], cycles: int = SIDE_CYCLES) -> _Result:
    """Make `call` on a side stream that has yet to write `tensors`, and wait for it.

    The caller does what torch's notes on CUDA semantics ask for: the side stream waits for what was queued before, and what
    comes back may be used on every stream, because nothing is left to be done. A stream of torch does not wait for the
    default one by itself (cudaStreamNonBlocking), nor that for it.

    Args:
        tensors: what `call` reads on the GPU.
        call: is made twice; see `make_ready`.
        cycles: of the GPU's clock that the long kernel before it takes.
    """
    side = side_stream()
    side.wait_stream(torch.cuda.current_stream())
    try:
        with torch.cuda.stream(side):
            return call_while_pending(tensors, call, cycles)
    finally:
        # Also after an exception: the tensors hold what they did before, and no memory is used on another stream too early.
        torch.cuda.synchronize()


def make_ready(call: Callable[[], object]) -> None:
    """Make the call once on poison.

    The first launch of a kernel loads its code, which may wait for the stream. And the memory that the allocator hands
    out again then holds what came of poison, not intermediate results that were right.
    """
    with contextlib.suppress(Exception):  # the call that counts raises it again
        call()
    torch.cuda.synchronize()  # other streams, too, see the poison from here on
    with contextlib.suppress(Exception):  # a CUDA error that the call left for the next launch: the call that counts leaves it again
        torch.cuda._sleep(1)  # type: ignore[no-untyped-call]  # noqa: SLF001
