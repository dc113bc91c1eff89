"""Small changes to a quantized weight, shared by the faults of all steps. Everything is changed in a copy."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable

import torch

from fuzz.engine.calls import Prepared

Edit = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


def pick(count: int, generator: torch.Generator) -> int:
    """A random index below `count`."""
    return int(torch.randint(count, (), generator=generator))


def with_packed(prepared: Prepared, change: Edit, generator: torch.Generator) -> Prepared:
    """With other packed bytes: `change` gets a copy, flat uint8."""
    packed = prepared.packed.clone()
    data = change(packed.view(torch.uint8).flatten(), generator)
    return dataclasses.replace(prepared, packed=data.contiguous().view(prepared.packed.dtype).reshape(-1, 1))


def with_absmax(prepared: Prepared, change: Edit, generator: torch.Generator) -> Prepared:
    """With other scales (8-bit indices, if statistics are compressed): `change` gets a copy."""
    state = prepared.own_state()
    state.absmax = change(state.absmax.clone(), generator)
    return dataclasses.replace(prepared, state=state)


def with_state2(prepared: Prepared, name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Prepared:
    """With another tensor `name` ("absmax", "code") in the second level of statistics."""
    state = prepared.own_state()
    state.state2 = copy.copy(state.state2)
    setattr(state.state2, name, change(getattr(state.state2, name).clone()))
    return dataclasses.replace(prepared, state=state)


def with_offset(prepared: Prepared, change: Callable[[torch.Tensor], torch.Tensor]) -> Prepared:
    """With another offset of compressed statistics."""
    state = prepared.own_state()
    state.offset = change(state.offset.clone())
    return dataclasses.replace(prepared, state=state)


def neighbours_scale(absmax: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """One block takes the scale of the next."""
    place = pick(len(absmax) - 1, generator)
    absmax[place] = absmax[place + 1]
    return absmax


def shifted_scales(absmax: torch.Tensor, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001 - one signature
    """Every block takes the scale of the one before: an index off by one."""
    return absmax.roll(1)


def swapped_nibbles(data: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The two nibbles of one byte change places."""
    place = pick(len(data), generator)
    data[place] = (data[place] >> 4) | ((data[place] & 15) << 4)
    return data


def all_nibbles_swapped(data: torch.Tensor, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    """Low nibble first, everywhere."""
    return (data >> 4) | ((data & 15) << 4)


def flipped_bit(data: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The lowest bit of one nibble is another."""
    place = pick(len(data), generator)
    data[place] ^= 1 << (4 * pick(2, generator))
    return data
