"""What a call is handed to write its result to: as the Case lays it out, or wrong in the way that it asks for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch

from fuzz.engine.calls import Prepared
from fuzz.engine.guarded import Guarded
from fuzz.engine.tensors import FLOAT_DTYPES
from strategies.case import FloatDType
from strategies.memory import LAYOUTS
from strategies.misuse import WRONG_OUTS, Misuse
from strategies.outs import dtype_of_out, shape_of_out

_DEVICES: Final = {Misuse.META_OUT: "meta", Misuse.CPU_OUT: "cpu"}
"""Where an `out` on the wrong device is."""


class ResizedError(RuntimeError):
    """A tensor of the wrong shape was resized, with which torch's own functions still answer it."""


@dataclass(frozen=True, slots=True)
class Out:
    """A tensor to write to.

    Attributes:
        tensor: what is handed over.
        guarded: the memory that it lies in.
        activation: what is multiplied, which may lie there too.
        shape: in which the tensor was handed over.
    """

    tensor: torch.Tensor
    guarded: Guarded
    activation: torch.Tensor
    shape: torch.Size

    def checked(self) -> torch.Tensor:
        """The tensor, after it was written to.

        Raises:
            ResizedError: it has another shape now.
            OutOfBoundsError: something around it was written to.
        """
        if self.tensor.shape != self.shape:
            raise ResizedError(f"out was of shape {tuple(self.shape)} and is of shape {tuple(self.tensor.shape)} now")
        self.guarded.checked()
        return self.tensor


def out_for(prepared: Prepared, shape: tuple[int, ...], dtype: FloatDType) -> Out:
    """What is handed over for a result of this shape and dtype."""
    x, misuse = prepared.activation, prepared.case.execution.misuse
    if misuse is Misuse.SHARED_OUT:
        return _shared(x, shape)
    # A kernel that does not look writes the whole result, which must not end up in other tensors.
    room = math.prod(shape) if misuse in WRONG_OUTS else 0
    if misuse is Misuse.EXPANDED_OUT:
        guarded = Guarded((1,), FLOAT_DTYPES[dtype], x.device, room=room)
        return Out(guarded.tensor.expand(shape), guarded, x, torch.Size(shape))
    handed, device = FLOAT_DTYPES[dtype_of_out(misuse, dtype)], _DEVICES.get(misuse, x.device)
    guarded = Guarded(shape_of_out(misuse, shape), handed, device, prepared.case.memory.out, room=room)
    return Out(guarded.tensor, guarded, x, guarded.tensor.shape)


def _shared(x: torch.Tensor, shape: tuple[int, ...]) -> Out:
    # A copy: the Case's own activation is what the result is judged by.
    guarded = Guarded(x.shape, x.dtype, x.device)
    guarded.tensor.copy_(x)
    return Out(guarded.tensor.flatten()[: math.prod(shape)].view(shape), guarded, guarded.tensor, torch.Size(shape))


def packed_out_for(prepared: Prepared) -> torch.Tensor:
    """What is handed over for a packed weight. Its bytes may be anything, so that nothing in them tells what was not written."""
    packed, misuse = prepared.packed, prepared.case.execution.misuse
    if misuse is Misuse.EXPANDED_OUT:
        return torch.zeros((1, 1), dtype=packed.dtype, device=packed.device).expand(packed.shape)
    dtype = packed.dtype if misuse is not Misuse.OTHER_OUT else _other(packed.dtype)
    shape, device = shape_of_out(misuse, tuple(packed.shape)), _DEVICES.get(misuse, packed.device)
    return LAYOUTS[prepared.case.memory.out](torch.zeros(shape, dtype=dtype, device=device))


def _other(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype is not torch.float32 else torch.bfloat16
