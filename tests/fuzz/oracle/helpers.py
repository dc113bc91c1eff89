"""Shared by the tests of the oracle: operands made by hand and random inputs of every kind."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from fuzz.oracle.operands import Nested, Operands, code_table
from strategies.case import QuantType

HALVES = [torch.float16, torch.bfloat16]
DTYPES = [torch.float32, *HALVES]
BLOCKSIZE = 32


def operands(
    x: torch.Tensor, code: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None = None, stored: torch.dtype | None = None
) -> Operands:
    """Operands with plain statistics; `scale` is broadcast to the shape of `code`."""
    scales = dict.fromkeys(Nested, scale.float().expand_as(code))
    return Operands(activation=x, code=code.float(), scales=scales, bias=bias, stored=stored or x.dtype)


def from_indices(x: torch.Tensor, index: torch.Tensor, block_scale: torch.Tensor, quant_type: QuantType = QuantType.NF4) -> Operands:
    """Operands from 4-bit indices (N, K) and one scale for each 32 of them."""
    scale = block_scale.float()[torch.arange(index.numel()) // BLOCKSIZE].reshape(index.shape)
    return operands(x, code_table(quant_type)[index], scale)


def uniform(shape: tuple[int, ...], low: float, high: float, random: torch.Generator) -> torch.Tensor:
    """Uniform numbers, float64."""
    return low + (high - low) * torch.rand(shape, generator=random, dtype=torch.float64)


def _blocks(shape: tuple[int, int]) -> int:
    return math.ceil(shape[0] * shape[1] / BLOCKSIZE)


def _weight(shape: tuple[int, int], low: float, high: float, random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Random 4-bit indices, and block scales from 2**low to 2**high."""
    return torch.randint(0, 16, shape, generator=random), torch.exp2(uniform((_blocks(shape),), low, high, random))


def _normal(rows: int, shape: tuple[int, int], random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.randn(rows, shape[1], generator=random), *_weight(shape, -3, 3, random)


def _one_hot(rows: int, shape: tuple[int, int], random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x = torch.zeros(rows, shape[1])
    x[torch.arange(rows), torch.randint(0, shape[1], (rows,), generator=random)] = 1.0
    return x, *_weight(shape, -3, 3, random)


def _cancelling(rows: int, shape: tuple[int, int], random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    half = uniform((rows, math.ceil(shape[1] / 2)), 1, 8, random)
    x = torch.stack((half, -half), -1).flatten(-2)[:, : shape[1]]
    return x, torch.full(shape, 14), torch.full((_blocks(shape),), 1.7)


def _integers(rows: int, shape: tuple[int, int], random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Small integers times -1, 0 or 1 times powers of two: every sum is exact."""
    index = torch.tensor([0, 7, 15])[torch.randint(0, 3, shape, generator=random)]
    scales = torch.exp2(torch.randint(-2, 3, (_blocks(shape),), generator=random))
    return torch.randint(-4, 5, (rows, shape[1]), generator=random).float(), index, scales


def _huge(rows: int, shape: tuple[int, int], random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Products of float16 overflow, of either sign; some scales do."""
    sign = torch.randint(0, 2, (rows, shape[1]), generator=random) * 2 - 1
    return sign * torch.exp2(uniform((rows, shape[1]), 0, 12, random)), *_weight(shape, 0, 15.9, random)


def _largest(rows: int, shape: tuple[int, int], random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A few terms out of range, so that many sums are finite and some are not."""
    x = torch.randn(rows, shape[1], generator=random)
    x[0, 0], x[-1, shape[1] // 2] = 60000.0, -60000.0
    return x, *_weight(shape, -1, 3, random)


def _tiny(rows: int, shape: tuple[int, int], random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Products below the range of float16, made visible by a few that are not."""
    sign = torch.randint(0, 2, (rows, shape[1]), generator=random) * 2 - 1
    return sign * torch.exp2(uniform((rows, shape[1]), -14, -8, random)), *_weight(shape, -12, 2, random)


FILLS: dict[str, Callable[[int, tuple[int, int], torch.Generator], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]] = {
    "normal": _normal,
    "one_hot": _one_hot,
    "cancelling": _cancelling,
    "integers": _integers,
    "huge": _huge,
    "largest": _largest,
    "tiny": _tiny,
}
"""From a number of rows and a weight's shape: activation (float), 4-bit indices (N, K), block scales."""


def fill(name: str, rows: int, shape: tuple[int, int], dtype: torch.dtype, seed: int) -> Operands:
    """Random operands without a bias: `name` is one of FILLS, `shape` the weight's (N, K)."""
    random = torch.Generator().manual_seed(seed)
    x, index, scales = FILLS[name](rows, shape, random)
    return from_indices(x.float().to(dtype), index, scales, list(QuantType)[0 if name in {"integers", "cancelling"} else seed % 2])
