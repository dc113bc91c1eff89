"""The calls whose results are written to tensors that the caller hands over."""

from __future__ import annotations

import math

import torch

from fuzz.engine.calls import Prepared, gemv_arguments, in_view
from fuzz.engine.guarded import Guarded
from fuzz.engine.outs import out_for, packed_out_for
from fuzz.engine.tensors import STORAGE_DTYPES
from strategies.misuse import WRONG_OUTS


def matmul_out(prepared: Prepared) -> torch.Tensor:
    """`matmul_4bit` with `out=`."""
    import bitsandbytes  # noqa: PLC0415

    out = out_for(prepared, prepared.case.output_shape, prepared.case.activation_dtype)
    bitsandbytes.matmul_4bit(out.activation, in_view(prepared), quant_state=prepared.own_state(), bias=prepared.bias, out=out.tensor)
    return out.checked()


def gemv_out(prepared: Prepared) -> torch.Tensor:
    """The op `gemv_4bit.out`."""
    shape = (*prepared.activation.shape[:-1], prepared.state.shape[0])
    out = out_for(prepared, shape, prepared.case.activation_dtype)
    _, *weight = gemv_arguments(prepared)
    torch.ops.bitsandbytes.gemv_4bit.out(out.activation, *weight, out=out.tensor)
    return out.checked()


def dequantize_out(prepared: Prepared) -> torch.Tensor:
    """`functional.dequantize_4bit` with `out=`."""
    from bitsandbytes import functional  # noqa: PLC0415

    weight = prepared.case.weight
    out = out_for(prepared, weight.stored_shape, weight.dtype)
    functional.dequantize_4bit(prepared.packed, prepared.own_state(), out=out.tensor)
    return out.checked()


def quantize_out(prepared: Prepared) -> torch.Tensor:
    """`functional.quantize_4bit` with `out=` and `absmax=`, then `dequantize_4bit` of what was written, if it can be a packed weight."""
    from bitsandbytes import functional  # noqa: PLC0415

    case, device = prepared.case, prepared.weight.device
    out = packed_out_for(prepared)
    scales = Guarded((math.ceil(case.weight.elements / case.quantization.blocksize),), torch.float32, device)
    _, state = functional.quantize_4bit(
        prepared.weight,
        absmax=scales.tensor,
        out=out,
        blocksize=case.quantization.blocksize,
        compress_statistics=case.quantization.compress_statistics,
        quant_type=case.quantization.quant_type.value,
        quant_storage=STORAGE_DTYPES[case.quantization.storage],
    )
    scales.checked()
    if case.execution.misuse in WRONG_OUTS:
        return out
    # A packed weight that lies elsewhere is another question.
    result: torch.Tensor = functional.dequantize_4bit(out.clone(memory_format=torch.contiguous_format), state)
    return result
