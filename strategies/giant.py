"""Giant weights: a small one whose rows are repeated until it has more elements than 31 or 32 bits count.

Nobody draws a weight of two billion elements, nor computes a reference for it. But an output depends on its own row of the
weight only: whatever a giant gives is what the small weight gives, again and again.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from typing import Final

from hypothesis import strategies as st

from strategies.case import (
    BLOCKSIZES,
    Activation,
    Case,
    Execution,
    Fill,
    FloatDType,
    Mode,
    PackedView,
    Quantization,
    QuantType,
    StorageDType,
    Weight,
)

BEYOND: Final = (2**31, 2**32)
"""Numbers of elements that a giant has more of: indices of elements, or of the bytes of a packed weight, no longer fit 32 bits."""

MOST_OUTPUTS: Final = 8
MOST_BLOCKS: Final = 4
MOST_ROWS: Final = 4

WORK: Final = 2
"""Times that a path's result, or its weight, is there at once at most: the library may make a copy."""


def repeats(case: Case, elements: int) -> int:
    """How often the rows of the weight are there in one that has more than `elements`."""
    return elements // case.weight.elements + 1


def repeated(case: Case, elements: int) -> Case:
    """The Case with the rows of its weight repeated: beyond every limit of a Case, so that nobody draws it or writes it down."""
    weight = dataclasses.replace(case.weight, out_features=case.weight.out_features * repeats(case, elements))
    giant = copy.copy(case)
    object.__setattr__(giant, "weight", weight)  # past the limits, which are there for what is drawn
    return giant


def can_be_repeated(case: Case) -> bool:
    """Whether blocks and bytes of the packed weight begin with each repetition: then its numbers are those of the small one."""
    quantization, elements = case.quantization, case.weight.elements
    fills = elements > 0 and elements % quantization.blocksize == 0 and elements // 2 % quantization.storage.itemsize == 0
    return fills and not quantization.compress_statistics


def within(case: Case, memory: int, result: int) -> Iterator[int]:
    """Those of `BEYOND` for which there is room.

    Args:
        case: small.
        memory: bytes of the device.
        result: bytes of what a call makes or takes for one repetition, beside the packed weight.
    """
    for elements in BEYOND:
        if elements + WORK * result * repeats(case, elements) <= memory // 2:
            yield elements


def giant_cases() -> st.SearchStrategy[Case]:
    """Small weights of whole blocks, to be repeated: plain statistics, and everything that has no part in it neutral."""
    return st.builds(_case, st.sampled_from(BLOCKSIZES), _SIZES, _CHOICES, st.booleans(), st.integers(0, 2**16 - 1))


_SIZES: Final = st.tuples(st.integers(1, MOST_OUTPUTS), st.integers(1, MOST_BLOCKS), st.integers(0, MOST_ROWS))
_FILLS: Final = st.sampled_from([Fill.NORMAL, Fill.INTEGERS, Fill.HEAVY_TAILED, Fill.ONES])
_CHOICES: Final = st.tuples(
    *(st.sampled_from(FloatDType), st.sampled_from(FloatDType), st.sampled_from(QuantType), st.sampled_from(StorageDType)),
    *(st.sampled_from(PackedView), _FILLS, _FILLS),
)


def _case(
    blocksize: int,
    sizes: tuple[int, int, int],
    choices: tuple[FloatDType, FloatDType, QuantType, StorageDType, PackedView, Fill, Fill],
    bias: bool,  # noqa: FBT001 - built from strategies
    seed: int,
) -> Case:
    outputs, blocks, rows = sizes
    dtype, activation, quant_type, storage, packed, fill, other_fill = choices
    return Case(
        weight=Weight(out_features=outputs, in_features=blocks * blocksize, dtype=dtype, fill=fill),
        quantization=Quantization(quant_type=quant_type, blocksize=blocksize, storage=storage),
        packed=packed,
        activation=Activation(leading=(rows,) if rows else (), dtype=activation, fill=other_fill),
        bias=bias,
        execution=Execution(mode=Mode.GIANT),
        seed=seed,
    )
