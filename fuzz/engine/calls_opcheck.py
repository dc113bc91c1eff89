"""`torch.library.opcheck` of the ops with the tensors of a Case; then what the op returns."""

from __future__ import annotations

from typing import Any, Final

import torch

from fuzz.engine.calls import Prepared, dequantize, dequantize_arguments, gemm_arguments, gemm_op, gemv_arguments, gemv_op
from fuzz.engine.tensors import STORAGE_DTYPES

TESTS: Final = ("test_schema", "test_faketensor")
"""Whether the schema says truly what an op changes and returns, and whether its fake kernel says so of sizes, strides and dtype.

`test_autograd_registration` is for ops that support autograd, and these do not: `matmul_4bit` has an autograd function.
`test_aot_dispatch_dynamic` compares numbers by a tolerance; there is Mode.COMPILED for that."""


def quantize_opcheck(prepared: Prepared) -> torch.Tensor:
    """`quantize_4bit`. It returns the packed weight of the Case, decoded."""
    quantization = prepared.case.quantization
    storage = STORAGE_DTYPES[quantization.storage]
    _check(torch.ops.bitsandbytes.quantize_4bit.default, prepared.weight, quantization.blocksize, quantization.quant_type.value, storage)
    return dequantize(prepared)


def dequantize_opcheck(prepared: Prepared) -> torch.Tensor:
    """`dequantize_4bit`."""
    arguments = dequantize_arguments(prepared)
    _check(torch.ops.bitsandbytes.dequantize_4bit.default, *arguments)
    result: torch.Tensor = torch.ops.bitsandbytes.dequantize_4bit.default(*arguments)
    return result


def dequantize_out_opcheck(prepared: Prepared) -> torch.Tensor:
    """`dequantize_4bit.out`."""
    arguments = dequantize_arguments(prepared)
    out = torch.full(prepared.case.weight.stored_shape, torch.nan, dtype=arguments[-1], device=prepared.weight.device)
    _check(torch.ops.bitsandbytes.dequantize_4bit.out, *arguments, out=out)
    torch.ops.bitsandbytes.dequantize_4bit.out(*arguments, out=out)
    return out


def gemm_opcheck(prepared: Prepared) -> torch.Tensor:
    """`gemm_4bit`."""
    arguments, named = gemm_arguments(prepared)
    _check(torch.ops.bitsandbytes.gemm_4bit.default, *arguments, **named)
    return gemm_op(prepared)


def gemv_opcheck(prepared: Prepared) -> torch.Tensor:
    """`gemv_4bit`."""
    _check(torch.ops.bitsandbytes.gemv_4bit.default, *gemv_arguments(prepared))
    return gemv_op(prepared)


def gemv_out_opcheck(prepared: Prepared) -> torch.Tensor:
    """`gemv_4bit.out`."""
    arguments, x = gemv_arguments(prepared), prepared.activation
    out = torch.full((*x.shape[:-1], prepared.state.shape[0]), torch.nan, dtype=x.dtype, device=x.device)
    _check(torch.ops.bitsandbytes.gemv_4bit.out, *arguments, out=out)
    torch.ops.bitsandbytes.gemv_4bit.out(*arguments, out=out)
    return out


def _check(op: Any, *arguments: Any, **named: Any) -> None:
    """Let torch check an op with copies of these arguments.

    Raises:
        OpCheckError: torch's, which says what contradicts what.
    """
    torch.library.opcheck(op, arguments, named, test_utils=TESTS)
