"""The independent reference: decodes the quantized weight and multiplies in float64, on the CPU, with our own code.

Nothing of bitsandbytes is called here, so that a mistake that all of its paths share is still seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from fuzz.oracle.codebooks import CODES
from fuzz.oracle.rounding import FLUSH
from strategies.case import Case, Layout

FLOAT32_ROUNDOFF = 2.0**-24
SMALLEST_NORMAL = 2.0**-14
"""Smallest normal float16."""

NESTED_BLOCKSIZE = 256
"""Blocksize of the second level of statistics (`functional.quantize_4bit`, `compress_statistics`)."""


@dataclass(frozen=True, slots=True)
class DecodedWeight:
    """A quantized weight as exact numbers, all float64 with logical shape (out_features, in_features).

    The weight is `code * scale`. `scale_error` bounds how far a float32 evaluation of `scale` may lie from it: 0 for
    plain statistics, which are stored in float32; for compressed ones the two roundings of
    `code8 * absmax2 + offset`, 2v(|code8 * absmax2| + |scale|) with v = 2**-24.
    """

    code: torch.Tensor
    scale: torch.Tensor
    scale_error: torch.Tensor

    @property
    def weight(self) -> torch.Tensor:
        """Code * scale: exact, since a product of two float32 numbers fits into float64."""
        return self.code * self.scale


@dataclass(frozen=True, slots=True)
class Product:
    """The product of an activation and a decoded weight and the sums that bounds are made of.

    All float64: `value`, `magnitude` (sum|x||w| including the error of the scales) and `code_magnitude` (sum|x||c|)
    of shape (*leading, out_features), `activation_magnitude` (sum|x|) of shape (*leading, 1). `bias` is exact.
    `largest_scale` is the largest of the scales, which some kernels round to the activation's dtype.
    `scale_error` is sum|x||c| times the bound on the error of the scales. For float16 activations `magnitude` takes
    subnormal factors as the smallest normal number, 2**-14, because tensor cores align them as if they were
    (`fuzz.oracle.reduction`). `flushed` is sum|x||w| over what is subnormal in float32 of x, which a kernel may take for zero:
    unlike a result that is flushed, it may be multiplied by a large weight.
    """

    value: torch.Tensor
    magnitude: torch.Tensor
    code_magnitude: torch.Tensor
    activation_magnitude: torch.Tensor
    scale_error: torch.Tensor
    bias: torch.Tensor | None
    terms: int
    largest_scale: float = 0.0
    flushed: torch.Tensor | float = 0.0


def packed_bytes(packed: torch.Tensor) -> torch.Tensor:
    """The packed nibbles as a flat uint8 tensor on the CPU, whatever the storage dtype."""
    # A copy: a tensor of one element passes for contiguous whatever its strides, and cannot be viewed as bytes.
    return packed.detach().cpu().clone(memory_format=torch.contiguous_format).view(torch.uint8).flatten()


def nibbles(data: torch.Tensor, count: int) -> torch.Tensor:
    """The first `count` 4-bit indices of `data` (uint8), high nibble first, as int64."""
    return torch.stack((data >> 4, data & 15), dim=1).flatten()[:count].long()


def entries(table: torch.Tensor, data: torch.Tensor, count: int) -> torch.Tensor:
    """The entries of `table` (16 float32 numbers) for the first `count` 4-bit indices of `data` (uint8), float32.

    Both entries of a byte are looked up at once, as 64 bits: a sixth of the time of an index for each.
    """
    byte = torch.arange(256, device=table.device)
    both = torch.stack((table[byte >> 4], table[byte & 15]), dim=1).view(torch.int64).flatten()
    return both.index_select(0, data.int()).view(torch.float32)[:count]


def per_element(scales: torch.Tensor, blocksize: int, count: int) -> torch.Tensor:
    """The scale of each of `count` elements, from that of every block of `blocksize`."""
    return scales[:, None].expand(-1, blocksize).reshape(-1)[:count]


def decode(case: Case, packed: torch.Tensor, state: Any, device: torch.device | str = "cpu") -> DecodedWeight:
    """The weight that `packed` and its `QuantState` stand for.

    Args:
        case: shape, layout, quant type and blocksize are read.
        packed: as `quantize_4bit` returned it, on any device, any storage dtype.
        state: the `QuantState`; `absmax`, `offset` and `state2` are read.
        device: of the result.
    """
    count, blocksize = case.weight.elements, case.quantization.blocksize
    table = torch.tensor(CODES[case.quantization.quant_type], dtype=torch.float32, device=device)
    code = entries(table, packed_bytes(packed).to(device), count).double()
    flat = (code, *(per_element(part.to(device), blocksize, count) for part in _scales(state)))
    return DecodedWeight(*(_logical(case, part) for part in flat))


def _logical(case: Case, flat: torch.Tensor) -> torch.Tensor:
    stored = flat.reshape(case.weight.stored_shape)
    return stored if case.weight.layout is Layout.OUT_IN else stored.t()


def _scales(state: Any) -> tuple[torch.Tensor, torch.Tensor]:
    absmax = state.absmax.detach().cpu()
    if state.state2 is None:
        return absmax.double(), torch.zeros(len(absmax), dtype=torch.float64)
    code8 = state.state2.code.detach().cpu().double()[absmax.long()]
    outer = state.state2.absmax.detach().cpu().double()[torch.arange(len(absmax)) // NESTED_BLOCKSIZE]
    scaled = code8 * outer
    scale = scaled + state.offset.detach().cpu().double()
    return scale, 2 * FLOAT32_ROUNDOFF * (scaled.abs() + scale.abs())


def _lifted(value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """|value|, with what is subnormal in float16 as the smallest normal number."""
    if dtype is not torch.float16:
        return value.abs()
    return torch.maximum(value.abs(), SMALLEST_NORMAL * value.sign().abs())


def multiply(activation: torch.Tensor, weight: DecodedWeight, bias: torch.Tensor | None) -> Product:
    """`activation @ weight.T` (without the bias) and the sums beside it.

    Args:
        activation: shape (*leading, in_features), any float dtype, on the CPU.
        weight: shape (out_features, in_features).
        bias: shape (out_features,) or None; only carried along.
    """
    x, code = activation.detach().double(), weight.code.abs().t()
    values = weight.weight.t()
    code_magnitude = x.abs() @ code
    # Plain statistics are exact; the product is left out because it is a quarter of the work.
    exact = not bool(weight.scale_error.any())
    scale_error = torch.zeros_like(code_magnitude) if exact else x.abs() @ (code * weight.scale_error.t())
    return Product(
        value=x @ values,
        magnitude=_lifted(x, activation.dtype) @ _lifted(values, activation.dtype) + scale_error,
        code_magnitude=code_magnitude,
        activation_magnitude=x.abs().sum(-1, keepdim=True),
        scale_error=scale_error,
        bias=None if bias is None else bias.detach().double(),
        terms=x.shape[-1],
        largest_scale=float(weight.scale.abs().max()) if weight.scale.numel() else 0.0,
        flushed=_flushed(x, values),
    )


def _flushed(x: torch.Tensor, values: torch.Tensor) -> torch.Tensor | float:
    subnormal = torch.where(x.abs() < FLUSH, x.abs(), 0.0)
    return subnormal @ values.abs() if bool(subnormal.any()) else 0.0
