"""A call whose inputs are still being written: what reads them on another stream, or too early, reads poison."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import torch

from fuzz.engine.calls import Prepared

PENDING_SECONDS: Final = 0.05
"""How long the inputs stay poisoned after the call is made: it takes well under a millisecond to queue its kernels."""

CLOCK: Final = 2.0e9
"""Cycles a second that a GPU is taken to make: an H200 makes 1.98e9 at most. A slower clock only makes it longer."""

PENDING_CYCLES: Final = int(PENDING_SECONDS * CLOCK)

_Result = TypeVar("_Result")


def read_by_calls(prepared: Prepared) -> list[torch.Tensor]:
    """What the calls read of a Case and an earlier kernel may have made: all but the constant code tables."""
    state = prepared.state
    outer = state.state2.absmax if state.nested else None
    offset = state.offset if state.nested else None
    found = (prepared.activation, prepared.bias, prepared.packed, state.absmax, offset, outer)
    return [tensor for tensor in found if isinstance(tensor, torch.Tensor)]


def call_while_pending(tensors: Sequence[torch.Tensor], call: Callable[[], _Result]) -> _Result:
    """Make `call` at once after a long kernel and the copies that write `tensors` were queued on the current stream.

    Before that they hold poison, afterwards what they held at first.

    Args:
        tensors: what `call` reads on the GPU.
        call: is made twice; see `_make_ready`.
    """
    tensors = [_own(tensor) for tensor in tensors]
    values = [tensor.clone() for tensor in tensors]
    for tensor in tensors:
        _poison(tensor)
    _make_ready(call)
    # Torch's own tests of streams keep a stream busy like this; there is no public function for it.
    torch.cuda._sleep(PENDING_CYCLES)  # type: ignore[no-untyped-call]  # noqa: SLF001
    for tensor, value in zip(tensors, values, strict=True):
        tensor.copy_(value)
    return call()


def _make_ready(call: Callable[[], object]) -> None:
    """Make the call once on poison.

    The first launch of a kernel loads its code, which may wait for the stream. And the memory that the allocator hands
    out again then holds what came of poison, not intermediate results that were right.
    """
    with contextlib.suppress(Exception):  # the call that counts raises it again
        call()
    torch.cuda.synchronize()  # other streams, too, see the poison from here on


def _own(tensor: torch.Tensor) -> torch.Tensor:
    """The view of an expanded tensor in which no element is seen twice, so that it can be written to."""
    return tensor[tuple(slice(1) if stride == 0 else slice(None) for stride in tensor.stride())] if tensor.dim() else tensor


def _poison(tensor: torch.Tensor) -> None:
    if tensor.is_floating_point():
        tensor.fill_(torch.nan)
    else:
        tensor.bitwise_not_()  # no byte stays what it was, and each is still a valid index
