"""The arithmetic, in float32: blockwise quantization, decoding, products. Everything else is built on this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from .codes import get_4bit_type, nearest
from .packing import unpack

BLOCKSIZES = (32, 64, 128, 256, 512, 1024, 2048, 4096)
NESTED_BLOCKSIZE = 256
"""Blocksize of the second level of statistics."""

_TINY = 1e-38
"""Least divisor, for blocks of zeros."""


@dataclass(frozen=True, slots=True)
class Quantized:
    """A packed weight with one float32 scale a block. `shape` is that of the tensor that was quantized."""

    packed: torch.Tensor
    shape: Sequence[int]
    absmax: torch.Tensor
    code: torch.Tensor
    blocksize: int


def check_blocksize(blocksize: int) -> None:
    """Refuse a blocksize that is not documented.

    Raises:
        ValueError: it is not one of `BLOCKSIZES`.
    """
    if blocksize not in BLOCKSIZES:
        raise ValueError(f"invalid blocksize {blocksize}")


def check_length(activation: torch.Tensor, shape: Sequence[int]) -> None:
    """Refuse an activation that does not fit a weight of shape [out_features, in_features].

    Raises:
        ValueError: its last dimension is not in_features.
    """
    if activation.shape[-1] != shape[1]:
        raise ValueError(f"the activation's last dimension is {activation.shape[-1]}, in_features is {shape[1]}")


def quantize(values: torch.Tensor, code: torch.Tensor, blocksize: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices into `code` (uint8, flat) and one scale a block (float32)."""
    flat = values.detach().flatten().float()
    rows = torch.nn.functional.pad(flat, (0, -len(flat) % blocksize)).reshape(-1, blocksize)
    absmax = rows.abs().amax(dim=1)
    indices = nearest(rows / absmax.clamp(min=_TINY).unsqueeze(1), code)
    return indices.flatten()[: len(flat)], absmax


def dequantize(indices: torch.Tensor, absmax: torch.Tensor, code: torch.Tensor, blocksize: int) -> torch.Tensor:
    """Entries of `code` times the scale of their block, float32, flat."""
    blocks = torch.arange(indices.numel()) // blocksize
    return code[indices.flatten().long()] * absmax[blocks]


def decode(weight: Quantized) -> torch.Tensor:
    """The weight in float32 and in the shape in which it was quantized, whatever the view of the packed tensor."""
    rows, columns = weight.shape
    indices = unpack(weight.packed, rows * columns)
    return dequantize(indices, weight.absmax, weight.code, weight.blocksize).reshape(rows, columns)


def multiply(activation: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """`activation @ weight.T + bias` in float32, rounded once to the dtype of the activation.

    Raises:
        TypeError: the activation is not of a floating dtype of 16 or 32 bits.
    """
    if activation.dtype not in {torch.float16, torch.bfloat16, torch.float32}:
        raise TypeError(f"the activation is {activation.dtype}, not a floating dtype of 16 or 32 bits")
    product = activation.float() @ weight.t()
    if bias is not None:
        product = product + bias.float()
    return product.to(activation.dtype)


def gemv(activation: torch.Tensor, weight: Quantized) -> torch.Tensor:
    """The product that all ways in to gemv share.

    Raises:
        ValueError: the blocksize or the activation's length is wrong.
    """
    check_blocksize(weight.blocksize)
    check_length(activation, weight.shape)
    return multiply(activation, decode(weight))


def nested_scales(indices: torch.Tensor, absmax: torch.Tensor, code: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """The scales that compressed statistics stand for."""
    return dequantize(indices, absmax, code, NESTED_BLOCKSIZE) + offset


def code_of(quant_type: str) -> torch.Tensor:
    """The table of "nf4" or "fp4"."""
    return get_4bit_type(quant_type, device="cpu")
