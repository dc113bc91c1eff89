"""Builds the tensors of a Case. All on the CPU first, so that equal Cases give equal tensors on every machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

from strategies.case import Case, Fill, FloatDType, Layout, Memory, StorageDType, Stream
from strategies.fills import FILLS
from strategies.memory import expanded

FLOAT_DTYPES: Final[dict[FloatDType, torch.dtype]] = {
    FloatDType.FLOAT32: torch.float32,
    FloatDType.FLOAT16: torch.float16,
    FloatDType.BFLOAT16: torch.bfloat16,
}
STORAGE_DTYPES: Final[dict[StorageDType, torch.dtype]] = {
    StorageDType.UINT8: torch.uint8,
    StorageDType.FLOAT16: torch.float16,
    StorageDType.BFLOAT16: torch.bfloat16,
    StorageDType.FLOAT32: torch.float32,
}


@dataclass(frozen=True, slots=True)
class Inputs:
    """The input tensors of a Case on the CPU.

    `weight` has shape `case.weight.stored_shape`, `activation` shape `(*leading, in_features)`, `bias` shape
    `(out_features,)`; the last two have dtype `case.activation_dtype`. They have the values that the Case's memory layouts
    give them, which only expanding changes, and lie in memory as it comes: `fuzz.engine.calls.prepare` lays them out.
    """

    weight: torch.Tensor
    activation: torch.Tensor
    bias: torch.Tensor | None


def build(case: Case) -> Inputs:
    """The input tensors of `case`."""
    weight = _fill(case.weight.fill, (case.weight.out_features, case.weight.in_features), case, Stream.WEIGHT)
    if case.weight.layout is Layout.IN_OUT:
        weight = weight.t().contiguous()
    dtype = FLOAT_DTYPES[case.activation_dtype]
    activation_shape = (*case.activation.leading, case.weight.in_features)
    activation = _fill(case.activation.fill, activation_shape, case, Stream.ACTIVATION)
    bias = _fill(Fill.INTEGERS, (case.weight.out_features,), case, Stream.BIAS) if case.bias else None
    return Inputs(
        _values(weight, case.memory.weight).to(FLOAT_DTYPES[case.weight.dtype]),
        _values(activation, case.memory.activation).to(dtype),
        None if bias is None else _values(bias, case.memory.bias).to(dtype),
    )


def gradient(case: Case) -> torch.Tensor:
    """The gradient that is handed to backward: integers, shape `case.output_shape`, of the activation's dtype, on the CPU."""
    return _fill(Fill.INTEGERS, case.output_shape, case, Stream.GRADIENT).to(FLOAT_DTYPES[case.activation_dtype])


def _values(tensor: torch.Tensor, memory: Memory) -> torch.Tensor:
    return expanded(tensor).contiguous() if memory is Memory.EXPANDED else tensor


def _fill(fill: Fill, shape: tuple[int, ...], case: Case, stream: Stream) -> torch.Tensor:
    return FILLS[fill](shape, case.seed_of(stream))
