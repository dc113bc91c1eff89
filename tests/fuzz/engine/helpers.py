"""Shared by the tests of the engine: libraries, decoded weights and quantization states made by hand."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch

from fuzz.engine.library import Gpu, Library
from fuzz.oracle.codebooks import CODES, dynamic_map
from fuzz.oracle.reference import DecodedWeight
from strategies.case import BLOCKSIZES, QuantType

ALL_BLOCKSIZES = tuple(sorted(BLOCKSIZES))
H200 = Gpu(major=9, minor=0, multiprocessors=132)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stub(Library):
    """A library whose rule for fused kernels is `rule`, so that bitsandbytes is not asked. None: it hides its rule."""

    rule: bool | None = None

    def chooses_fused(self, dtype: torch.dtype, rows: int, outputs: int, terms: int) -> bool | None:  # noqa: ARG002
        """The answer that was given beforehand."""
        return self.rule


def library(  # noqa: PLR0913 - one argument a feature
    *,
    version: str = "0.50.2",
    device: str = "cpu",
    fused: bool = True,
    out_variant: bool = False,
    cpu_repack: bool = False,
    documented_blocksizes: tuple[int, ...] = ALL_BLOCKSIZES,
    gpu: Gpu | None = None,
    rule: bool | None = None,
) -> Library:
    """A library with these features, by default bitsandbytes 0.50 on a plain CPU."""
    return Stub(
        version=version,
        device=device,
        fused=fused,
        out_variant=out_variant,
        cpu_repack=cpu_repack,
        documented_blocksizes=documented_blocksizes,
        device_name="a device for tests",
        gpu=gpu,
        rule=rule,
    )


LEGACY = library(version="0.48.0", device="cuda", fused=False, documented_blocksizes=ALL_BLOCKSIZES[1:], gpu=H200)
FUSED = library(device="cuda", gpu=H200)
"""It hides its rule, so that every fused kernel may run."""


@dataclass(frozen=True)
class Quantized:
    """A quantized weight as a kernel reads it: codes and float32 scales by element, shape (out_features, in_features)."""

    code: torch.Tensor
    scale: torch.Tensor
    decoded: DecodedWeight


def quantized(index: torch.Tensor, block_scale: torch.Tensor, blocksize: int, quant_type: QuantType = QuantType.NF4) -> Quantized:
    """A weight with plain statistics from 4-bit indices (out_features, in_features) and one float32 scale a block."""
    code = torch.tensor(CODES[quant_type], dtype=torch.float32)[index]
    scale = block_scale.float()[torch.arange(index.numel()) // blocksize].reshape(index.shape)
    return Quantized(code, scale, DecodedWeight(code.double(), scale.double(), torch.zeros_like(scale.double())))


def plain_state(absmax: torch.Tensor) -> Any:
    """What `decode` reads of a `QuantState` with plain statistics."""
    return SimpleNamespace(absmax=absmax, state2=None, offset=None, nested=False)


def nested_state(absmax: torch.Tensor, outer: torch.Tensor, offset: float) -> Any:
    """What `decode` reads of a `QuantState` with compressed statistics; `absmax` is uint8."""
    code = torch.tensor(dynamic_map(), dtype=torch.float32)
    state2 = SimpleNamespace(code=code, absmax=outer, blocksize=256)
    return SimpleNamespace(absmax=absmax, state2=state2, offset=torch.tensor(offset), nested=True)
