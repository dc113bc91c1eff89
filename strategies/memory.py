"""What the named memory layouts are: the same numbers of the same shape, lying otherwise.

What lies around and between them is NaN in every floating dtype and 255 in bytes; between bytes it is 0xA9, because 0xFF
is two codes of 1 in NF4, and a packed weight of ones would be right by chance where strides are ignored. Every function is
self-contained, because scripts quote its source.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch

from strategies.case import Memory


def contiguous(tensor: torch.Tensor) -> torch.Tensor:
    """As it is."""
    return tensor


def guarded(tensor: torch.Tensor) -> torch.Tensor:
    """Contiguous, with 256 elements of NaN on both sides."""
    size = tensor.numel()
    buffer = torch.full(((size + 512) * tensor.element_size(),), 255, dtype=torch.uint8, device=tensor.device).view(tensor.dtype)
    buffer[256 : 256 + size] = tensor.flatten()
    return buffer[256 : 256 + size].view(tensor.shape)


def offset(tensor: torch.Tensor) -> torch.Tensor:
    """Contiguous, but beginning one element behind an aligned address; between NaN."""
    size = tensor.numel()
    buffer = torch.full(((size + 512) * tensor.element_size(),), 255, dtype=torch.uint8, device=tensor.device).view(tensor.dtype)
    buffer[257 : 257 + size] = tensor.flatten()
    return buffer[257 : 257 + size].view(tensor.shape)


def strided(tensor: torch.Tensor) -> torch.Tensor:
    """Every second element of a tensor whose other elements are NaN, or bytes of two 4-bit codes far from 0 and 1."""
    between = 0xFF if tensor.is_floating_point() else 0xA9
    buffer = torch.full((2 * tensor.numel() * tensor.element_size(),), between, dtype=torch.uint8, device=tensor.device).view(tensor.dtype)
    spread = buffer.view(*tensor.shape, 2)[..., 0]
    return spread.copy_(tensor)


def transposed(tensor: torch.Tensor) -> torch.Tensor:
    """The transposed view of the transposed numbers: columns lie together; of one dimension, as it is."""
    return tensor.mT.contiguous().mT if tensor.dim() > 1 else tensor


def expanded(tensor: torch.Tensor) -> torch.Tensor:
    """The first row only, seen as all rows: the first stride is 0."""
    return tensor[:1].clone().expand(tensor.shape)


LAYOUTS: Final[dict[Memory, Callable[[torch.Tensor], torch.Tensor]]] = {
    Memory.CONTIGUOUS: contiguous,
    Memory.GUARDED: guarded,
    Memory.OFFSET: offset,
    Memory.STRIDED: strided,
    Memory.TRANSPOSED: transposed,
    Memory.EXPANDED: expanded,
}
