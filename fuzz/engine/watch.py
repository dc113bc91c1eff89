"""Whether a call leaves alone what it is handed, and what lies around that: byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch

from fuzz.engine.calls import Prepared

FEW_BYTES: Final = 2**20
"""Memory that is compared on the CPU: fetching it takes a tenth of a millisecond, and less than comparing it where it lies."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a call wrote to that it was to read.

    Attributes:
        name: of the tensor.
        inside: whether elements of the tensor changed; if not, it is what lies around or between them.
        count: of bytes.
    """

    name: str
    inside: bool
    count: int


class Watch:
    """The memory of some tensors as it was. `changed` tells what became of it, and puts it back.

    Args:
        tensors: by the names that people know them by.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self._watched = {name: _Watched(tensor) for name, tensor in tensors.items()}
        self._before = self._together()

    def changed(self) -> Change | None:
        """The first tensor whose memory was written to since the watch began; None if there is none."""
        if all(map(torch.equal, self._together(), self._before)):
            return None
        changes = [change for name, watched in self._watched.items() if (change := watched.change(name)) is not None]
        for watched in self._watched.values():
            watched.put_back()
        return changes[0]

    def _together(self) -> list[torch.Tensor]:
        """All memory of each device in one piece, as words of eight bytes: one question, where each answer waits for the device."""
        memories: dict[torch.device, list[torch.Tensor]] = {}
        for watched in self._watched.values():
            memories.setdefault(watched.memory.device, []).append(watched.memory)
        return [_words(parts) for parts in memories.values()]


class _Watched:
    def __init__(self, tensor: torch.Tensor) -> None:
        self._tensor = tensor.detach()
        self.memory = whole(tensor)
        self._before = self.memory.clone()

    def change(self, name: str) -> Change | None:
        count = int((self.memory != self._before).sum())
        if not count:
            return None
        tensor = self._tensor
        before = self._before.view(tensor.dtype).as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
        return Change(name, not torch.equal(_bytes(tensor), _bytes(before)), count)

    def put_back(self) -> None:
        self.memory.copy_(self._before)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The memory that `tensor` is a view of, as bytes."""
    return torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(tensor.detach().untyped_storage())


def _words(parts: list[torch.Tensor]) -> torch.Tensor:
    """Bytes one behind the other, in words of eight, which are compared in a quarter of the time; few of them on the CPU."""
    length = sum(len(part) for part in parts)
    words = torch.cat([*parts, parts[0].new_zeros(-length % 8)]).view(torch.int64)
    return words.cpu() if length <= FEW_BYTES else words


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    # A copy: a tensor of one element passes for contiguous whatever its strides, and cannot be viewed as bytes.
    return tensor.clone(memory_format=torch.contiguous_format).flatten().view(torch.uint8)


def before_quantizing(weight: torch.Tensor) -> Watch:
    """What `quantize_4bit` is handed."""
    return Watch({"weight": weight})


def before_multiplying(prepared: Prepared) -> Watch:
    """What the other calls are handed."""
    state = prepared.state
    handed = {"activation": prepared.activation, "bias": prepared.bias, "packed weight": prepared.packed, "absmax": state.absmax}
    handed |= {"code table": state.code}
    if state.nested:
        handed |= {"outer absmax": state.state2.absmax, "outer code table": state.state2.code, "offset": state.offset}
    return Watch({name: tensor for name, tensor in handed.items() if isinstance(tensor, torch.Tensor)})
