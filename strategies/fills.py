"""What the named fills are: exact, portable patterns.

All randomness is integers from a seeded `torch.Generator` on the CPU, and everything after it is exact in float64, so
that a fill is the same, bit for bit, on every machine (`torch.randn` is not: it depends on the CPU's vector unit).
Every function returns float64 of the given shape; each is self-contained, because scripts quote its source.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch

from strategies.case import Fill


def ones(shape: tuple[int, ...], seed: int) -> torch.Tensor:  # noqa: ARG001 - one signature for all fills
    """All ones."""
    return torch.ones(shape, dtype=torch.float64)


def one_hot(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Zeros with a single one in each row, at a place that moves by one from row to row."""
    columns = shape[-1]
    result = torch.zeros(shape, dtype=torch.float64)
    if not result.numel():
        return result
    result = result.reshape(-1, columns)
    rows = torch.arange(len(result))
    result[rows, (rows + seed) % columns] = 1.0
    return result.reshape(shape)


def integers(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Integers from -4 to 4."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-4, 5, shape, generator=generator).double()


def normal(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Bell-shaped with variance 1: the sum of twelve uniform numbers (Irwin-Hall), in steps of 2**-12."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(shape, dtype=torch.int64)
    for _ in range(12):
        total += torch.randint(-2048, 2049, shape, generator=generator)
    return total.double() / 4096


def heavy_tailed(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Odd integers from -15 to 15, each times a power of two from 2**-12 to 2**0."""
    generator = torch.Generator().manual_seed(seed)
    mantissa = 2 * torch.randint(-8, 8, shape, generator=generator) + 1
    exponent = torch.randint(-12, 1, shape, generator=generator)
    return torch.ldexp(mantissa.double(), exponent)


def huge(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Odd integers from -15 to 15, each times a power of two from 2**0 to 2**12: float16 holds them, not their products."""
    generator = torch.Generator().manual_seed(seed)
    mantissa = 2 * torch.randint(-8, 8, shape, generator=generator) + 1
    exponent = torch.randint(0, 13, shape, generator=generator)
    return torch.ldexp(mantissa.double(), exponent)


def tiny(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Odd integers from -15 to 15, each times a power of two from 2**-24 to 2**-12: float16 holds them, not their products."""
    generator = torch.Generator().manual_seed(seed)
    mantissa = 2 * torch.randint(-8, 8, shape, generator=generator) + 1
    exponent = torch.randint(-24, -11, shape, generator=generator)
    return torch.ldexp(mantissa.double(), exponent)


def subnormal(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Odd integers from -15 to 15, each times a power of two from 2**-149 to 2**-100: four in ten are subnormal in float32."""
    generator = torch.Generator().manual_seed(seed)
    mantissa = 2 * torch.randint(-8, 8, shape, generator=generator) + 1
    exponent = torch.randint(-149, -99, shape, generator=generator)
    return mantissa.double() * ((exponent + 1023) << 52).view(torch.float64)  # torch.ldexp goes through a float32 power


def cancelling(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Pairs a, -a along the last dimension, a from 1 to 8 in steps of 2**-6, so that sums nearly cancel."""
    generator = torch.Generator().manual_seed(seed)
    half = (*shape[:-1], (shape[-1] + 1) // 2)
    values = torch.randint(64, 513, half, generator=generator).double() / 64
    return torch.stack((values, -values), dim=-1).flatten(-2)[..., : shape[-1]]


def stepped(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Odd integers from -15 to 15, every 32 elements times another power of two from 2**-8 to 2**7."""
    generator = torch.Generator().manual_seed(seed)
    mantissa = 2 * torch.randint(-8, 8, shape, generator=generator) + 1
    step = torch.arange(mantissa.numel()).reshape(shape) // 32
    return torch.ldexp(mantissa.double(), (5 * step + seed) % 16 - 8)


def zeros(shape: tuple[int, ...], seed: int) -> torch.Tensor:  # noqa: ARG001
    """All zeros."""
    return torch.zeros(shape, dtype=torch.float64)


def zero_blocks(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Integers from -4 to 4, with zeros in the first half of the elements."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(-4, 5, shape, generator=generator).double()
    return torch.where(torch.arange(values.numel()).reshape(shape) < values.numel() // 2, 0.0, values)


def infinite(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Ones, and infinity in one place."""
    result = torch.ones(shape, dtype=torch.float64).flatten()
    if len(result):
        result[seed % len(result)] = torch.inf
    return result.reshape(shape)


def nan(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Ones, and NaN in one place."""
    result = torch.ones(shape, dtype=torch.float64).flatten()
    if len(result):
        result[seed % len(result)] = torch.nan
    return result.reshape(shape)


FILLS: Final[dict[Fill, Callable[[tuple[int, ...], int], torch.Tensor]]] = {
    Fill.ONES: ones,
    Fill.ONE_HOT: one_hot,
    Fill.INTEGERS: integers,
    Fill.NORMAL: normal,
    Fill.HEAVY_TAILED: heavy_tailed,
    Fill.CANCELLING: cancelling,
    Fill.HUGE: huge,
    Fill.TINY: tiny,
    Fill.SUBNORMAL: subnormal,
    Fill.STEPPED: stepped,
    Fill.ZEROS: zeros,
    Fill.ZERO_BLOCKS: zero_blocks,
    Fill.INFINITE: infinite,
    Fill.NAN: nan,
}
