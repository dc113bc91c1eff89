"""Poison for what a call must not read yet, such as NaN. Scripts quote these functions."""

from __future__ import annotations

import torch


def writable(tensor: torch.Tensor) -> torch.Tensor:
    """The part of a tensor in which no element is seen twice, without its history: what is written to it is in the tensor."""
    once = tuple(slice(1) if stride == 0 else slice(None) for stride in tensor.stride())
    return tensor.detach()[once] if tensor.dim() else tensor.detach()


def poison(tensor: torch.Tensor) -> None:
    """Write NaN, or, where there is none, the complement of each byte: none stays what it was, and each is still a valid index."""
    if tensor.is_floating_point():
        tensor.fill_(torch.nan)
    else:
        tensor.bitwise_not_()
