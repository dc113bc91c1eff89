"""The calls whose results are written to tensors that the caller hands over."""

from __future__ import annotations

import math

import torch

from fuzz.engine.calls import Prepared, in_view
from fuzz.engine.guarded import Guarded
from fuzz.engine.tensors import FLOAT_DTYPES, STORAGE_DTYPES


def matmul_out(prepared: Prepared) -> torch.Tensor:
    """`matmul_4bit` with `out=`."""
    import bitsandbytes  # noqa: PLC0415

    guarded = Guarded(prepared.case.output_shape, prepared.activation.dtype, prepared.activation.device)
    bitsandbytes.matmul_4bit(
        prepared.activation, in_view(prepared), quant_state=prepared.own_state(), bias=prepared.bias, out=guarded.tensor
    )
    return guarded.checked()


def dequantize_out(prepared: Prepared) -> torch.Tensor:
    """`functional.dequantize_4bit` with `out=`."""
    from bitsandbytes import functional  # noqa: PLC0415

    weight = prepared.case.weight
    guarded = Guarded(weight.stored_shape, FLOAT_DTYPES[weight.dtype], prepared.activation.device)
    functional.dequantize_4bit(prepared.packed, prepared.own_state(), out=guarded.tensor)
    return guarded.checked()


def quantize_out(prepared: Prepared) -> torch.Tensor:
    """`functional.quantize_4bit` with `out=` and `absmax=`, then `dequantize_4bit` of what it returns."""
    from bitsandbytes import functional  # noqa: PLC0415

    case, device = prepared.case, prepared.weight.device
    scales = Guarded((math.ceil(case.weight.elements / case.quantization.blocksize),), torch.float32, device)
    packed, state = functional.quantize_4bit(
        prepared.weight,
        absmax=scales.tensor,
        out=torch.zeros_like(prepared.packed, memory_format=torch.contiguous_format),
        blocksize=case.quantization.blocksize,
        compress_statistics=case.quantization.compress_statistics,
        quant_type=case.quantization.quant_type.value,
        quant_storage=STORAGE_DTYPES[case.quantization.storage],
    )
    scales.checked()
    result: torch.Tensor = functional.dequantize_4bit(packed, state)
    return result
