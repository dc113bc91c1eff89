"""Two 4-bit indices a byte, high nibble first, in a column of any storage dtype, which may be handed on transposed."""

from __future__ import annotations

import torch


def pack(indices: torch.Tensor, storage: torch.dtype) -> torch.Tensor:
    """Flat uint8 indices as a column of dtype `storage`, padded with zeros to whole elements, and to two of them.

    A column of one element could not be told from its transposed view.
    """
    per_element = 2 * storage.itemsize
    padded = torch.nn.functional.pad(indices, (0, max(-len(indices) % per_element, 2 * per_element - len(indices))))
    data = (padded[::2] << 4) | padded[1::2]
    return data.view(storage).reshape(-1, 1)


def unpack(packed: torch.Tensor, count: int) -> torch.Tensor:
    """The first `count` indices of a packed weight in any view, as int64."""
    data = packed.detach().reshape(-1).clone(memory_format=torch.contiguous_format).view(torch.uint8)
    return torch.stack((data >> 4, data & 15), dim=1).flatten()[:count].long()


def is_transposed(packed: torch.Tensor) -> bool:
    """Whether this is a transposed view of what `pack` returned."""
    return packed.shape[0] == 1
