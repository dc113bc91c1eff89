"""Shared by the tests of the strategies."""

from __future__ import annotations

from typing import TypeVar

from hypothesis.strategies import SearchStrategy

from fuzz.campaign.explore import explore
from strategies.case import (
    Activation,
    Case,
    CudaStream,
    Execution,
    Fill,
    FloatDType,
    Layout,
    Layouts,
    Memory,
    Mode,
    PackedView,
    Quantization,
    QuantType,
    Relation,
    StorageDType,
    Weight,
)
from strategies.misuse import Misuse

Drawn = TypeVar("Drawn")

BUSY = Case(
    weight=Weight(out_features=5, in_features=130, layout=Layout.IN_OUT, dtype=FloatDType.FLOAT16, fill=Fill.NORMAL),
    quantization=Quantization(quant_type=QuantType.FP4, blocksize=256, compress_statistics=True, storage=StorageDType.FLOAT32),
    packed=PackedView.TRANSPOSED,
    activation=Activation(leading=(3, 11), dtype=FloatDType.BFLOAT16, fill=Fill.CANCELLING),
    bias=True,
    memory=Layouts(
        weight=Memory.TRANSPOSED,
        packed=Memory.OFFSET,
        absmax=Memory.STRIDED,
        activation=Memory.EXPANDED,
        bias=Memory.GUARDED,
        out=Memory.STRIDED,
    ),
    execution=Execution(
        grad=True,
        mode=Mode.OUT,
        relation=Relation.SIGN,
        misuse=Misuse.SHORT_BIAS,
        default_dtype=FloatDType.BFLOAT16,
        stream=CudaStream.SIDE,
    ),
    seed=77,
)
"""A Case in which no field is neutral."""


def draw(strategy: SearchStrategy[Drawn], count: int) -> list[Drawn]:
    """The same `count` Cases each time, or whatever the strategy draws, drawn as a run draws them."""
    drawn: list[Drawn] = []

    def visit(one: Drawn) -> bool:
        drawn.append(one)
        return len(drawn) < count

    explore(strategy, 1, visit)
    return drawn


def dotted_names(data: dict[str, object], prefix: str = "") -> set[str]:
    """The dotted names of all leaves of nested JSON objects."""
    names: set[str] = set()
    for key, value in data.items():
        names |= dotted_names(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key}
    return names
