"""Two 4-bit indices a byte, high nibble first, in a column of any storage dtype, which may be handed on transposed."""

from __future__ import annotations

import torch


def pack(indices: torch.Tensor, storage: torch.dtype) -> torch.Tensor:
    """Flat uint8 indices as a column of dtype `storage`, padded with zeros to whole elements."""
    per_element = 2 * storage.itemsize
    padded = torch.nn.functional.pad(indices, (0, -len(indices) % per_element))
    data = (padded[::2] << 4) | padded[1::2]
    return _column(data.view(storage))


def unpack(packed: torch.Tensor, count: int) -> torch.Tensor:
    """The first `count` indices of a packed weight in any view, as int64."""
    data = packed.detach().reshape(-1).clone(memory_format=torch.contiguous_format).view(torch.uint8)
    return torch.stack((data >> 4, data & 15), dim=1).flatten()[:count].long()


def is_transposed(packed: torch.Tensor) -> bool:
    """Whether this is a transposed view of what `pack` returned."""
    if packed.numel() > 1:
        return packed.shape[0] == 1
    return packed.stride(0) < packed.stride(1)


def _column(data: torch.Tensor) -> torch.Tensor:
    # One element has shape (1, 1) in both views; strides, which are free there, tell them apart.
    outer = 2 if len(data) == 1 else 1
    return data.as_strided((len(data), 1), (outer, 1))
