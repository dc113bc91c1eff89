"""Guards around what the library allocates itself: what a kernel writes beyond its outputs is seen, and spoils nothing else.

Memory that torch hands out lies side by side in large pieces, so that neither CUDA nor the heap notices a write a few bytes
too far: it changes some other tensor. Scripts quote this class.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final
from unittest import mock

import torch

GUARD: Final = 512
"""Bytes on each side: what torch's allocator of CUDA memory aligns to, so that alignment is kept."""

CANARY: Final = 0x7F
"""Every byte of a guard: NaN in float16, and about the largest number there is in bfloat16 and float32, should it be read."""


class Allocations:
    """What is allocated through `torch.empty` and `torch.empty_like` while `guarded` lasts, with a guard around each."""

    def __init__(self) -> None:
        self._buffers: list[torch.Tensor] = []

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """Put guards around what is allocated in it. The tensors have the shape, the strides and the dtype that they would have."""
        empty, empty_like = torch.empty, torch.empty_like

        def instead_of(allocate: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
            def allocated(*arguments: Any, **options: Any) -> torch.Tensor:
                like = arguments[0] if allocate is empty_like else empty(0)
                device = torch.device(options.get("device") or like.device)
                if device.type not in {"cpu", "cuda"} or options.get("out") is not None or options.get("pin_memory"):
                    return allocate(*arguments, **options)
                plain = allocate(*arguments, **{**options, "device": "meta"})
                last = sum((size - 1) * stride for size, stride in zip(plain.shape, plain.stride(), strict=True))
                size = (last + 1) * plain.dtype.itemsize if plain.numel() else 0
                buffer = empty(size + 2 * GUARD, dtype=torch.uint8, device=device)
                buffer[:GUARD] = buffer[GUARD + size :] = CANARY
                self._buffers.append(buffer)
                tensor = empty(0, dtype=plain.dtype, device=device)
                tensor.set_(buffer.untyped_storage(), GUARD // plain.dtype.itemsize, plain.shape, plain.stride())
                return tensor.requires_grad_(plain.requires_grad)

            return allocated

        with mock.patch.multiple(torch, empty=instead_of(empty), empty_like=instead_of(empty_like)):
            yield

    def overrun(self) -> str:
        """How many bytes were written before and behind what was allocated; empty if none were."""
        before, behind = 0, 0
        for device in {buffer.device for buffer in self._buffers}:
            guards = [torch.stack((buffer[:GUARD], buffer[-GUARD:])) for buffer in self._buffers if buffer.device == device]
            written = (torch.stack(guards) != CANARY).sum(dim=(0, 2)).tolist()  # one question, where each answer waits for the device
            before, behind = before + written[0], behind + written[1]
        return f"{before} bytes before and {behind} behind what was allocated" if before or behind else ""
