"""What is wrong with the tensor that a result is to be written to, as far as its shape tells."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from strategies.case import FloatDType
from strategies.misuse import Misuse

Shape = tuple[int, ...]

_SHAPES: Final[dict[Misuse, Callable[[Shape], Shape]]] = {
    Misuse.SHORT_OUT: lambda shape: (*shape[:-1], shape[-1] - 1),
    Misuse.LONG_OUT: lambda shape: (*shape[:-1], shape[-1] + 1),
    Misuse.DEEP_OUT: lambda shape: (2, *shape),
}


def shape_of_out(misuse: Misuse, shape: Shape) -> Shape:
    """The shape of the tensor that is handed over for a result of `shape`."""
    return _SHAPES[misuse](shape) if misuse in _SHAPES else shape


def dtype_of_out(misuse: Misuse, dtype: FloatDType) -> FloatDType:
    """The dtype of the tensor that is handed over for a result of `dtype`."""
    if misuse is not Misuse.OTHER_OUT:
        return dtype
    return FloatDType.FLOAT32 if dtype is not FloatDType.FLOAT32 else FloatDType.BFLOAT16


def can_be_spoilt(misuse: Misuse, shape: Shape) -> bool:
    """Whether an `out` for a result of `shape` can be wrong in this way.

    One without elements is none: torch resizes it.
    """
    if not math.prod(shape):
        return False
    if misuse is Misuse.SHORT_OUT:
        return shape[-1] > 1
    return misuse is not Misuse.EXPANDED_OUT or math.prod(shape) > 1
