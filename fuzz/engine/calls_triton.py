"""The calls of Triton's functions, with the tensors of a Case."""

from __future__ import annotations

import dataclasses

import torch

from fuzz.engine.calls import Prepared, dequantize_arguments, gemv_arguments
from fuzz.engine.outs import out_for
from fuzz.engine.tensors import STORAGE_DTYPES
from fuzz.engine.triton_functions import functions
from fuzz.oracle.operands import code_table


def quantize(prepared: Prepared) -> Prepared:
    """The Case as Triton's `quantize_4bit` quantizes its weight: packed weight and plain statistics are what that returned."""
    from bitsandbytes import functional  # noqa: PLC0415

    weight, quantization = prepared.weight, prepared.case.quantization
    quant_type, storage = quantization.quant_type.value, STORAGE_DTYPES[quantization.storage]
    packed, absmax = functions().quantize_4bit(weight, quantization.blocksize, quant_type, storage)
    state = functional.QuantState(
        absmax=absmax,
        shape=weight.shape,
        code=code_table(quantization.quant_type, weight.device),
        blocksize=quantization.blocksize,
        quant_type=quant_type,
        dtype=weight.dtype,
    )
    return dataclasses.replace(prepared, packed=packed, state=state)


def packed_weight(prepared: Prepared) -> torch.Tensor:
    """What Triton's `quantize_4bit` packs."""
    return quantize(prepared).packed


def dequantize(prepared: Prepared) -> torch.Tensor:
    """Triton's `dequantize_4bit`."""
    result: torch.Tensor = functions().dequantize_4bit(*dequantize_arguments(prepared))
    return result


def dequantize_inplace(prepared: Prepared) -> torch.Tensor:
    """Triton's `dequantize_4bit_inplace`, which writes to the tensor that it is handed."""
    weight = prepared.case.weight
    out = out_for(prepared, weight.stored_shape, weight.dtype)
    functions().dequantize_4bit_inplace(*dequantize_arguments(prepared), out.tensor)
    return out.checked()


def gemv(prepared: Prepared) -> torch.Tensor:
    """Triton's `gemv_4bit`."""
    result: torch.Tensor = functions().gemv_4bit(*gemv_arguments(prepared))
    return result
