"""Tensor cores: fused sums of a few exact products, cut off and not rounded.

One step adds n products and the sum so far. All addends are aligned to the largest exponent among them and cut off
after F fractional bits, added exactly, and the result is cut off to float32. The exponent of a product is the sum of
its factors' exponents, so that its significand lies in [1, 4).

Sources: Fasi, Higham, Mikaitis, Pranesh, "Numerical behavior of NVIDIA tensor cores", PeerJ CS 330 (2021); "FTTN",
arXiv 2403.00232; "MMA-Sim", arXiv 2511.10909, whose table of n and F this is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

from fuzz.oracle.rounding import FLUSH, power_of_two, towards_zero_float32


@dataclass(frozen=True, slots=True)
class TensorCore:
    """The model of one architecture for 16-bit inputs and float32 sums.

    Attributes:
        terms: n, products of one fused step.
        fraction: F, fractional bits that are kept below the largest exponent.
    """

    terms: int
    fraction: int

    @property
    def error(self) -> float:
        """Error of one step relative to its largest addend: (n + 1) cut-offs of 2**-F and one to float32, 2**-23."""
        return (self.terms + 1) * 2.0**-self.fraction + 2.0**-23


VOLTA: Final = TensorCore(4, 23)
AMPERE: Final = TensorCore(8, 24)
HOPPER: Final = TensorCore(16, 25)

BY_MAJOR: Final = {7: VOLTA, 8: AMPERE, 9: HOPPER, 10: HOPPER, 12: HOPPER}
"""By the major number of the compute capability. For 7, Volta's bound covers Turing's (n = 8, F = 24)."""

SMALLEST_EXPONENT: Final = {torch.float16: -14, torch.bfloat16: -126, torch.float32: -126}
"""Exponent of subnormal numbers, which keep it while their significand falls below 1."""


def exponents(value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The exponent e of every number m * 2**e with 1 <= |m| < 2, as int32; that of zero is the smallest."""
    smallest = SMALLEST_EXPONENT[dtype]
    exponent = torch.frexp(value.float()).exponent - 1
    return torch.where(value == 0, smallest, exponent.clamp(min=smallest))


def fused_sums(activation: torch.Tensor, weight: torch.Tensor, core: TensorCore) -> torch.Tensor:
    """Activation @ weight.T as `core` sums it, K ascending: (M, K), (N, K) in one 16-bit dtype, to (M, N) float32.

    NaN and infinities are what IEEE 754 makes of the exact sum.
    """
    short = -activation.shape[-1] % core.terms
    x, w = torch.nn.functional.pad(activation, (0, short)), torch.nn.functional.pad(weight, (0, short))
    x_exponent, w_exponent = exponents(x, x.dtype), exponents(w, w.dtype)
    total = torch.zeros((len(x), len(w)), dtype=torch.float64, device=x.device)
    for first in range(0, x.shape[-1], core.terms):
        part = slice(first, first + core.terms)
        terms = x[:, None, part].double() * w[None, :, part].double()
        largest = largest_exponent(terms, x_exponent[:, None, part] + w_exponent[None, :, part])
        total = fused_step(terms, largest, total, core)
    return total.float()


def largest_exponent(terms: torch.Tensor, exponent: torch.Tensor) -> torch.Tensor:
    """The largest exponent of the products that are not zero, (M, N) int32."""
    return torch.where(terms == 0, SMALLEST_EXPONENT[torch.float32] * 2, exponent).amax(-1)


def fused_step(terms: torch.Tensor, largest: torch.Tensor, total: torch.Tensor, core: TensorCore) -> torch.Tensor:
    """One fused step: exact products (M, N, n) and their largest exponents added to the sum so far (M, N), float64."""
    own = torch.where(total == 0, SMALLEST_EXPONENT[torch.float32] * 2, exponents(total, torch.float32))
    quantum = power_of_two(torch.maximum(largest, own) - core.fraction)
    aligned = torch.trunc(total / quantum) + torch.trunc(terms / quantum[..., None]).sum(-1)
    result = towards_zero_float32(aligned * quantum).double()
    exact = terms.sum(-1) + total
    return torch.where(exact.isfinite(), torch.where(result.abs() < FLUSH, 0.0, result), exact)
