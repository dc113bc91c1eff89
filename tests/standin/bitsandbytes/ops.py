"""The operators `torch.ops.bitsandbytes.*`, with upstream's schemas implementations for the CPU and fake kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from . import kernels
from .packing import pack
from .planted import Call, disturb
from .writing import check_out, written

_DEQUANTIZE = "Tensor A, Tensor absmax, int blocksize, str quant_type, int[] shape, ScalarType dtype"
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
    written(disturb("ops.gemv_4bit.out", Call(quantized.shape, quantized.blocksize, activation=activation), result), out)


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


def _quantize(weight: torch.Tensor, blocksize: int, quant_type: str, storage: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    kernels.check_blocksize(blocksize)
    indices, absmax = kernels.quantize(weight, kernels.code_of(quant_type), blocksize)
    return pack(indices, storage), absmax


def _dequantize(packed: torch.Tensor, absmax: torch.Tensor, *rest: Any) -> torch.Tensor:
    blocksize, quant_type, shape, dtype = rest
    return kernels.decode(kernels.Quantized(packed, shape, absmax, kernels.code_of(quant_type), blocksize)).to(dtype)


def _dequantize_out(*arguments: Any, out: torch.Tensor) -> None:
    written(_dequantize(*arguments), out)


def _fake_quantize(weight: torch.Tensor, blocksize: int, quant_type: str, storage: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    del quant_type
    elements = weight.numel()
    packed = weight.new_empty((max(-(elements // -(2 * storage.itemsize)), 2), 1), dtype=storage)
    return packed, weight.new_empty((-(elements // -blocksize),), dtype=torch.float32)


def _fake_dequantize(packed: torch.Tensor, *rest: Any) -> torch.Tensor:
    *_, shape, dtype = rest
    return packed.new_empty(shape, dtype=dtype)


def _fake_product(activation: torch.Tensor, packed: torch.Tensor, shape: Sequence[int], *_: Any, **__: Any) -> torch.Tensor:
    del packed
    return activation.new_empty((*activation.shape[:-1], shape[0]))


def _fake_dequantize_out(packed: torch.Tensor, *rest: Any, out: torch.Tensor) -> None:
    *_, shape, dtype = rest
    check_out(out, shape, packed.new_empty((), dtype=dtype))


def _fake_gemv_out(activation: torch.Tensor, packed: torch.Tensor, shape: Sequence[int], *_: Any, out: torch.Tensor) -> None:
    del packed
    check_out(out, (*activation.shape[:-1], shape[0]), activation)


torch.library.define(
    "bitsandbytes::quantize_4bit", "(Tensor A, int blocksize, str quant_type, ScalarType quant_storage) -> (Tensor, Tensor)"
)
torch.library.define("bitsandbytes::dequantize_4bit", f"({_DEQUANTIZE}) -> Tensor")
torch.library.define("bitsandbytes::dequantize_4bit.out", f"({_DEQUANTIZE}, *, Tensor(a!) out) -> ()")
torch.library.define("bitsandbytes::gemv_4bit", f"({_GEMV}) -> Tensor")
torch.library.define("bitsandbytes::gemv_4bit.out", f"({_GEMV}, *, Tensor(a!) out) -> ()")
torch.library.define("bitsandbytes::gemm_4bit", f"({_GEMM}) -> Tensor")
torch.library.impl("bitsandbytes::quantize_4bit", "cpu", _quantize)
torch.library.impl("bitsandbytes::dequantize_4bit", "cpu", _dequantize)
torch.library.impl("bitsandbytes::dequantize_4bit.out", "cpu", _dequantize_out)
torch.library.impl("bitsandbytes::gemv_4bit", "cpu", _gemv)
torch.library.impl("bitsandbytes::gemv_4bit.out", "cpu", _gemv_out)
torch.library.impl("bitsandbytes::gemm_4bit", "cpu", _gemm)
torch.library.register_fake("bitsandbytes::quantize_4bit", _fake_quantize)
torch.library.register_fake("bitsandbytes::dequantize_4bit", _fake_dequantize)
torch.library.register_fake("bitsandbytes::dequantize_4bit.out", _fake_dequantize_out)
torch.library.register_fake("bitsandbytes::gemv_4bit", _fake_product)
torch.library.register_fake("bitsandbytes::gemv_4bit.out", _fake_gemv_out)
torch.library.register_fake("bitsandbytes::gemm_4bit", _fake_product)
