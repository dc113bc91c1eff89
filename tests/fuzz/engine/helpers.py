"""Shared by the tests of the engine: libraries, decoded weights and quantization states made by hand."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch

from fuzz.engine.calls import Prepared
from fuzz.engine.contract import Row
from fuzz.engine.judge import Question
from fuzz.engine.library import Gpu, Library
from fuzz.engine.paths import BY_NAME
from fuzz.engine.references import References
from fuzz.engine.tensors import FLOAT_DTYPES, Inputs
from fuzz.engine.verdict import Ruling
from fuzz.oracle.codebooks import CODES, dynamic_map
from fuzz.oracle.reference import DecodedWeight
from strategies.case import BLOCKSIZES, Activation, Case, Layout, Quantization, QuantType, Weight

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


def packed_indices(index: torch.Tensor) -> torch.Tensor:
    """4-bit indices in the order in which they are stored, packed as `quantize_4bit` does: uint8, the first in the high half."""
    flat = torch.nn.functional.pad(index.flatten(), (0, index.numel() % 2)).to(torch.uint8)
    return (flat[0::2] * 16 + flat[1::2]).reshape(-1, 1)


def prepared_by_hand(  # noqa: PLR0913 - one argument for each part of a product
    x: torch.Tensor,
    index: torch.Tensor,
    absmax: torch.Tensor,
    *,
    bias: torch.Tensor | None = None,
    case: Case | None = None,
    loaded: Library = FUSED,
) -> Prepared:
    """A product as if `quantize_4bit` had returned it: activation, indices (out_features, in_features), one scale a block.

    `case` says what tensors do not: layout, view, quant type, blocksize (32 by default), the weight's dtype (the activation's).
    """
    dtype = next(name for name, dtype in FLOAT_DTYPES.items() if dtype is x.dtype)
    given = case or Case(weight=Weight(dtype=dtype), quantization=Quantization(blocksize=32))
    full = dataclasses.replace(
        given,
        weight=dataclasses.replace(given.weight, out_features=len(index), in_features=index.shape[1]),
        activation=Activation(leading=tuple(x.shape[:-1]), dtype=dtype),
        bias=bias is not None,
    )
    stored = index if given.weight.layout is Layout.OUT_IN else index.t()
    weight = torch.zeros(full.weight.stored_shape, dtype=FLOAT_DTYPES[given.weight.dtype])
    return Prepared(full, loaded, weight, x, bias, packed_indices(stored), plain_state(absmax.float()))


def references_of(prepared: Prepared) -> References:
    """The references of a product made by hand."""
    return References(Inputs(prepared.weight, prepared.activation, prepared.bias), prepared)


def question_of(prepared: Prepared, path: str, ruling: Ruling = Ruling.VALID) -> Question:
    """What is being judged: a product made by hand on a path."""
    return Question(prepared.case, BY_NAME[path], prepared.library, Row(ruling=ruling, source="a document", when=lambda *_: True))
