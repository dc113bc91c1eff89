"""What is measured: every arm, dtype, quant type, blocksize, kind of statistics and value class, in shapes that reach the arm."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from strategies.case import Activation, Case, Fill, FloatDType, Quantization, QuantType, Weight


@dataclass(frozen=True, slots=True)
class Shape:
    """A weight's sizes and the numbers of rows that are multiplied by it."""

    outputs: int
    terms: int
    rows: tuple[int, ...]


# The dispatch rule of 0.50 sends few rows to SIMT, some tens to tensor cores where that fills the GPU, and the rest to
# torch's linear. Sizes beside multiples of the tiles exercise their tails; outputs are even, because an odd number
# of them is a defect of the tensor-core kernel that loses the CUDA context.
_CUDA: Final = {
    32: Shape(3842, 1088, (1, 3, 8, 40, 330)),
    64: Shape(3842, 1088, (1, 3, 8, 40, 330)),
    128: Shape(3270, 1280, (1, 3, 8, 40, 330)),
    256: Shape(3270, 1280, (1, 3, 8, 40, 330)),
    512: Shape(2110, 1536, (1, 3, 8, 24, 160)),
    1024: Shape(4090, 1024, (1, 3, 8, 40, 330)),
    2048: Shape(2046, 2048, (1, 3, 8, 24, 160)),
    4096: Shape(4290, 4096, (1, 3, 12, 130)),
}
"""By blocksize; terms are a multiple of it, and mostly not of the 1024 of a round of lanes."""


def shape_for(device: str, blocksize: int) -> Shape:
    """The shape that is measured at a blocksize."""
    return Shape(96, max(blocksize, 256), (1, 17, 65)) if device == "cpu" else _CUDA[blocksize]


CLASSES: Final = (
    (Fill.NORMAL, Fill.NORMAL),
    (Fill.HEAVY_TAILED, Fill.HEAVY_TAILED),
    (Fill.CANCELLING, Fill.NORMAL),
    (Fill.ONE_HOT, Fill.NORMAL),
    (Fill.NORMAL, Fill.ONE_HOT),
    (Fill.ONES, Fill.CANCELLING),
    (Fill.INTEGERS, Fill.INTEGERS),
    (Fill.HUGE, Fill.HUGE),
    (Fill.TINY, Fill.TINY),
)
"""Value classes: fills of activation and weight."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A quantized weight, and what is multiplied by it."""

    case: Case
    rows: tuple[int, ...]
    activation: Fill

    def with_rows(self, rows: int, *, bias: bool) -> Case:
        """The Case with an activation of `rows` rows."""
        return dataclasses.replace(self.case, activation=Activation(leading=(rows,), fill=self.activation), bias=bias)


def settings(device: str, blocksizes: Sequence[int]) -> Iterator[Setting]:
    """Every combination of blocksize, value class, dtype, quant type and kind of statistics."""
    for blocksize, (activation, fill), dtype in itertools.product(sorted(blocksizes), CLASSES, FloatDType):
        shape = shape_for(device, blocksize)
        weight = Weight(out_features=shape.outputs, in_features=shape.terms, dtype=dtype, fill=fill)
        for quant_type, compress in itertools.product(QuantType, (False, True)):
            quantization = Quantization(quant_type=quant_type, blocksize=blocksize, compress_statistics=compress)
            yield Setting(Case(weight=weight, quantization=quantization), shape.rows, activation)
