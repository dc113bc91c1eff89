"""An output buffer with a guard on both sides: what is written outside of it is seen."""

from __future__ import annotations

from typing import Final

import torch

HALO: Final = 256
"""Elements on each side: more than a warp's worth of outputs, and a multiple of 512 bytes, so that alignment is kept."""

CANARY: Final = -42.5
"""What lies in the guard: exact in every float dtype, and no value that an untouched allocation is likely to hold."""


class OutOfBoundsError(RuntimeError):
    """A kernel wrote outside of the buffer it was given."""


class Guarded:
    """A tensor to write to, filled with NaN so that an element that is not written is seen.

    Args:
        shape, dtype, device: of the tensor.
    """

    def __init__(self, shape: tuple[int, ...] | torch.Size, dtype: torch.dtype, device: torch.device | str) -> None:
        size = torch.Size(shape).numel()
        self.buffer = torch.full((size + 2 * HALO,), CANARY, dtype=dtype, device=device)
        self.tensor = self.buffer[HALO : HALO + size].view(shape)
        self.tensor.fill_(torch.nan)

    def checked(self) -> torch.Tensor:
        """The tensor, after it was written to.

        Raises:
            OutOfBoundsError: the guard was written to, with how many of its elements before and behind.
        """
        before = int((self.buffer[:HALO] != CANARY).sum())
        behind = int((self.buffer[HALO + self.tensor.numel() :] != CANARY).sum())
        if before or behind:
            raise OutOfBoundsError(f"{before} elements before and {behind} behind the output were written")
        return self.tensor
