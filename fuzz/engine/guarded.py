"""An output buffer with a guard on both sides: what is written outside of it is seen."""

from __future__ import annotations

from typing import Final

import torch

from strategies.case import Memory

HALO: Final = 256
"""Elements on each side: more than a warp's worth of outputs, and a multiple of 512 bytes, so that alignment is kept."""

CANARY: Final = -42.5
"""What lies in the guard: exact in every float dtype, and no value that an untouched allocation is likely to hold."""


class OutOfBoundsError(RuntimeError):
    """A kernel wrote outside of the buffer it was given."""


class Guarded:
    """A tensor to write to, filled with NaN so that an element that is not written is seen.

    Args:
        shape, dtype, device: of the tensor; on the device "meta" there is no memory to guard.
        memory: how it lies, one of `strategies.case.OUT_MEMORIES`. What is between its elements belongs to the guard.
        room: elements that the guard behind it has more, for what a kernel writes that takes it for a larger tensor.
    """

    def __init__(
        self,
        shape: tuple[int, ...] | torch.Size,
        dtype: torch.dtype,
        device: torch.device | str,
        memory: Memory = Memory.CONTIGUOUS,
        *,
        room: int = 0,
    ) -> None:
        size = torch.Size(shape).numel()
        start = HALO + (memory is Memory.OFFSET)
        self._inside = slice(start, start + (2 * size if memory is Memory.STRIDED else size))
        self._shape, self._memory = torch.Size(shape), memory
        self.buffer = torch.full((self._inside.stop + HALO + room,), CANARY, dtype=dtype, device=device)
        self.tensor = self._inside_of(self.buffer)
        self.tensor.fill_(torch.nan)

    def checked(self) -> torch.Tensor:
        """The tensor, after it was written to.

        Raises:
            OutOfBoundsError: the guard was written to, with how many of its elements before, between and behind. Elements
                between do not count if others are left unwritten: their strides are ignored then, which numbers tell.
        """
        if self.buffer.is_meta:
            return self.tensor
        written = self.buffer != CANARY
        self._inside_of(written).fill_(False)  # noqa: FBT003 - torch's signature
        before, between, behind = (
            int(written[part].sum()) for part in (slice(self._inside.start), self._inside, slice(self._inside.stop, None))
        )
        between = 0 if bool(self.tensor.isnan().any()) else between
        if before or between or behind:
            among = f", {between} between" if between else ""
            raise OutOfBoundsError(f"{before} elements before{among} and {behind} behind the output were written")
        return self.tensor

    def _inside_of(self, buffer: torch.Tensor) -> torch.Tensor:
        inside, shape = buffer[self._inside], self._shape
        if self._memory is Memory.STRIDED:
            return inside.view(*shape, 2)[..., 0]
        if self._memory is Memory.TRANSPOSED and len(shape) > 1:
            return inside.view(*shape[:-2], shape[-1], shape[-2]).mT
        return inside.view(shape)
