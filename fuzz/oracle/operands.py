"""What a kernel is given, as exact numbers: the inputs of every emulation."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import torch

from fuzz.oracle.codebooks import CODES
from fuzz.oracle.reference import NESTED_BLOCKSIZE, entries, packed_bytes, per_element
from fuzz.oracle.rounding import multiply_add
from strategies.case import Case, Layout, QuantType


class Nested(enum.Enum):
    """How code8 * absmax2 + offset is evaluated in float32: the compiler may contract it."""

    SEPARATE = "separate"  # product rounded, then sum rounded: what dequantize_blockwise and torch's addition do
    FUSED = "fused"  # one rounding: FFMA


@dataclass(frozen=True, slots=True, kw_only=True)
class Operands:
    """The inputs of a product of M rows, N outputs and K terms, all on one device.

    Attributes:
        activation: (M, K), float16, bfloat16 or float32: the dtype T of the kernel.
        code: (N, K) float32, the code table's entry of every weight element.
        scales: (N, K) float32, the scale of every weight element, for each way to evaluate compressed statistics; the
            same for both where statistics are not compressed.
        bias: (N,) in T, or None.
        stored: dtype to which the weight is rounded before it is rounded to T, by paths that dequantize it themselves.
    """

    activation: torch.Tensor
    code: torch.Tensor
    scales: dict[Nested, torch.Tensor]
    bias: torch.Tensor | None
    stored: torch.dtype

    def columns(self, first: int, last: int) -> Operands:
        """The operands of the outputs `first` to `last` (excluded)."""
        return Operands(
            activation=self.activation,
            code=self.code[first:last],
            scales={nested: scale[first:last] for nested, scale in self.scales.items()},
            bias=None if self.bias is None else self.bias[first:last],
            stored=self.stored,
        )


def code_table(quant_type: QuantType, device: torch.device | str = "cpu") -> torch.Tensor:
    """The sixteen code entries in float32, (16,)."""
    return torch.tensor(CODES[quant_type], dtype=torch.float32, device=device)


def nested_scales(index: torch.Tensor, code8: torch.Tensor, outer: torch.Tensor, offset: torch.Tensor) -> dict[Nested, torch.Tensor]:
    """The scale of every block from compressed statistics, both ways to evaluate it.

    Args:
        index: (blocks,) integers, the 8-bit indices.
        code8: (256,) float32, the 8-bit map.
        outer: (ceil(blocks / 256),) float32, the second level's absmax.
        offset: float32 scalar.
    """
    entry = code8[index.long()]
    absmax = outer[torch.arange(len(index), device=index.device) // NESTED_BLOCKSIZE]
    return {
        Nested.SEPARATE: entry * absmax + offset,
        Nested.FUSED: multiply_add(entry, absmax, offset.expand_as(entry)),
    }


@dataclass(frozen=True, slots=True)
class Decoded:
    """A quantized weight in float32, logical shape (N, K): code entries, and scales for each way to evaluate them."""

    code: torch.Tensor
    scales: dict[Nested, torch.Tensor]


def decode_float32(case: Case, packed: torch.Tensor, state: Any, device: torch.device | str) -> Decoded:
    """The code entry and the scale of every weight element as a kernel holds them.

    Args:
        case: shape, layout, quant type and blocksize are read.
        packed: as `quantize_4bit` returned it, on any device, any storage dtype.
        state: the `QuantState`; `absmax`, `offset` and `state2` are read.
        device: of the result.
    """
    count, shape, blocksize = case.weight.elements, case.weight.stored_shape, case.quantization.blocksize
    code = entries(code_table(case.quantization.quant_type, device), packed_bytes(packed).to(device), count)
    scales = {nested: per_element(scale.to(device), blocksize, count) for nested, scale in block_scales_float32(state).items()}
    return Decoded(
        _logical(case, code.reshape(shape)),
        {nested: _logical(case, scale.reshape(shape)) for nested, scale in scales.items()},
    )


def _logical(case: Case, stored: torch.Tensor) -> torch.Tensor:
    return stored if case.weight.layout is Layout.OUT_IN else stored.t()


def block_scales_float32(state: Any) -> dict[Nested, torch.Tensor]:
    """The scale of every block, (blocks,) float32 on the CPU, from a `QuantState`, for each way to evaluate it."""
    absmax = state.absmax.detach().cpu()
    if state.state2 is None:
        return {Nested.SEPARATE: absmax, Nested.FUSED: absmax}
    return nested_scales(absmax, state.state2.code.detach().cpu(), state.state2.absmax.detach().cpu(), state.offset.detach().cpu())
