"""Whether a call leaves alone what it is handed, and what lies around that: byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from fuzz.engine.calls import Placed, Prepared


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

    def changed(self) -> Change | None:
        """The first tensor whose memory was written to since the watch began; None if there is none."""
        # One question for all: each answer waits for the device.
        if not bool(torch.stack([watched.differs() for watched in self._watched.values()]).any()):
            return None
        changes = [change for name, watched in self._watched.items() if (change := watched.change(name)) is not None]
        for watched in self._watched.values():
            watched.put_back()
        return changes[0]


class _Watched:
    def __init__(self, tensor: torch.Tensor) -> None:
        self._tensor = tensor.detach()
        self._memory = whole(tensor)
        self._before = self._memory.clone()
        self._pairs = list(zip(_words(self._memory), _words(self._before), strict=True))

    def differs(self) -> torch.Tensor:
        return torch.stack([(now != before).any() for now, before in self._pairs]).any()

    def change(self, name: str) -> Change | None:
        count = int((self._memory != self._before).sum())
        if not count:
            return None
        tensor = self._tensor
        before = self._before.view(tensor.dtype).as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
        return Change(name, not torch.equal(_bytes(tensor), _bytes(before)), count)

    def put_back(self) -> None:
        self._memory.copy_(self._before)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The memory that `tensor` is a view of, as bytes."""
    return torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(tensor.detach().untyped_storage())


def _words(memory: torch.Tensor) -> list[torch.Tensor]:
    """Bytes as words of eight, which are compared in a quarter of the time, and the bytes behind the last word."""
    whole_words = len(memory) // 8 * 8
    parts = [memory[:whole_words].view(torch.int64), memory[whole_words:]]
    return [part for part in parts if len(part)] or parts[:1]


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    # A copy: a tensor of one element passes for contiguous whatever its strides, and cannot be viewed as bytes.
    return tensor.clone(memory_format=torch.contiguous_format).flatten().view(torch.uint8)


def before_quantizing(placed: Placed) -> Watch:
    """What `quantize_4bit` is handed."""
    return Watch({"weight": placed.weight})


def before_multiplying(prepared: Prepared) -> Watch:
    """What the other calls are handed."""
    state = prepared.state
    handed = {"activation": prepared.activation, "bias": prepared.bias, "packed weight": prepared.packed, "absmax": state.absmax}
    handed |= {"code table": state.code}
    if state.nested:
        handed |= {"outer absmax": state.state2.absmax, "outer code table": state.state2.code, "offset": state.offset}
    return Watch({name: tensor for name, tensor in handed.items() if isinstance(tensor, torch.Tensor)})
