"""The operators `torch.ops.bitsandbytes.*`, with upstream's schemas and implementations for the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from . import kernels
from .planted import Call, disturb

_GEMV = "Tensor A, Tensor B, int[] shapeB, Tensor absmax, Tensor code, int blocksize"
_GEMM = (
    "Tensor A, Tensor B, int[] shapeB, Tensor absmax, int blocksize, str quant_type, "
    "Tensor? bias=None, Tensor? absmax_8bit=None, Tensor? absmax_code=None, Tensor? absmax_offset=None"
)


def _gemv(activation: torch.Tensor, *weight: Any) -> torch.Tensor:
    quantized = kernels.Quantized(*weight)
    result = kernels.gemv(activation, quantized)
    return disturb("ops.gemv_4bit", Call(quantized.shape, quantized.blocksize, activation=activation), result)


def _gemv_out(activation: torch.Tensor, *weight: Any, out: torch.Tensor) -> None:
    quantized = kernels.Quantized(*weight)
    result = kernels.gemv(activation, quantized)
    out.copy_(disturb("ops.gemv_4bit.out", Call(quantized.shape, quantized.blocksize, activation=activation), result))


def _gemm(  # noqa: PLR0913, PLR0917 - upstream's schema
    activation: torch.Tensor,
    packed: torch.Tensor,
    shape: Sequence[int],
    absmax: torch.Tensor,
    blocksize: int,
    quant_type: str,
    bias: torch.Tensor | None = None,
    absmax_8bit: torch.Tensor | None = None,
    absmax_code: torch.Tensor | None = None,
    absmax_offset: torch.Tensor | None = None,
) -> torch.Tensor:
    kernels.check_blocksize(blocksize)
    kernels.check_length(activation, shape)
    if absmax_8bit is not None and absmax_code is not None and absmax_offset is not None:
        absmax = kernels.nested_scales(absmax_8bit, absmax, absmax_code, absmax_offset)
    quantized = kernels.Quantized(packed, shape, absmax, kernels.code_of(quant_type), blocksize)
    result = kernels.multiply(activation, kernels.decode(quantized), bias)
    return disturb("ops.gemm_4bit", Call(shape, blocksize, quant_type, absmax_8bit is not None, activation, bias), result)


torch.library.define("bitsandbytes::gemv_4bit", f"({_GEMV}) -> Tensor")
torch.library.define("bitsandbytes::gemv_4bit.out", f"({_GEMV}, *, Tensor(a!) out) -> ()")
torch.library.define("bitsandbytes::gemm_4bit", f"({_GEMM}) -> Tensor")
torch.library.impl("bitsandbytes::gemv_4bit", "cpu", _gemv)
torch.library.impl("bitsandbytes::gemv_4bit.out", "cpu", _gemv_out)
torch.library.impl("bitsandbytes::gemm_4bit", "cpu", _gemm)
