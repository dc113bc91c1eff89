"""The one call of a script, for each path, as lines that end with `result`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from strategies.case import Case, Layout, Memory, PackedView, StorageDType


def quantize_call(case: Case) -> str:
    """The call of `quantize_4bit`, with the arguments that differ from its defaults (and the quant type)."""
    quantization = case.quantization
    arguments = ["weight", f"blocksize={quantization.blocksize}", f"quant_type={quantization.quant_type.value!r}"]
    if quantization.compress_statistics:
        arguments.append("compress_statistics=True")
    if quantization.storage is not StorageDType.UINT8:
        arguments.append(f"quant_storage=torch.{quantization.storage.value}")
    return f"F.quantize_4bit({', '.join(arguments)})"


def quantize_lines(case: Case) -> list[str]:
    """The call, and the packed weight and its scales in their memory layouts."""
    lines = [f"packed, state = {quantize_call(case)}"]
    if case.memory.packed is not Memory.CONTIGUOUS:
        lines.append(f"packed = {case.memory.packed.value}(packed)")
    if case.memory.absmax is not Memory.CONTIGUOUS:
        lines.append(f"state.absmax = {case.memory.absmax.value}(state.absmax)")
    return lines


def _view(case: Case) -> str:
    return "packed" if case.packed is PackedView.RETURNED else "packed.t()"


def _bias(case: Case) -> str:
    return ", bias=bias" if case.bias else ""


def _quantize(case: Case) -> list[str]:
    return [f"packed, state = {quantize_call(case)}"]


def _matmul(case: Case) -> list[str]:
    return [f"result = bnb.matmul_4bit(x, {_view(case)}, quant_state=state{_bias(case)})"]


def _gemv(case: Case) -> list[str]:
    return [f"result = F.gemv_4bit(x, {_view(case)}, state=state)"]


def _absmax(case: Case) -> list[str]:
    nested = case.quantization.compress_statistics
    value = "F.dequantize_blockwise(state.absmax, state.state2) + state.offset" if nested else "state.absmax"
    return [f"absmax = {value}"]


def _op_arguments(case: Case) -> str:
    return f"x, {_view(case)}, state.shape, absmax, state.code, state.blocksize"


def _gemv_op(case: Case) -> list[str]:
    return [*_absmax(case), f"result = torch.ops.bitsandbytes.gemv_4bit.default({_op_arguments(case)})"]


def _gemv_out(case: Case) -> list[str]:
    return [
        *_absmax(case),
        'result = torch.full((*x.shape[:-1], state.shape[0]), float("nan"), dtype=x.dtype, device=x.device)',
        f"torch.ops.bitsandbytes.gemv_4bit.out({_op_arguments(case)}, out=result)",
    ]


def _dequantize(case: Case) -> list[str]:
    return [f"result = F.dequantize_4bit({_view(case)}, state)"]


def _dequantize_linear(case: Case) -> list[str]:
    transposed = (case.packed is PackedView.TRANSPOSED) != (case.weight.layout is Layout.IN_OUT)
    weight = "dequantized.t()" if transposed else "dequantized"
    bias = ", bias" if case.bias else ""
    return [
        f"dequantized = F.dequantize_4bit({_view(case)}, state).to(x.dtype)",
        f"result = torch.nn.functional.linear(x, {weight}{bias})",
    ]


def _gemm_op(case: Case) -> list[str]:
    if not case.quantization.compress_statistics:
        arguments = f"state.absmax, state.blocksize, state.quant_type{_bias(case)}"
    else:
        arguments = (
            f"state.state2.absmax, state.blocksize, state.quant_type{_bias(case)}, "
            "absmax_8bit=state.absmax, absmax_code=state.state2.code, absmax_offset=state.offset"
        )
    return [f"result = torch.ops.bitsandbytes.gemm_4bit.default(x, {_view(case)}, state.shape, {arguments})"]


def _linear4bit(case: Case) -> list[str]:
    quantization = case.quantization
    size = f"{case.weight.in_features}, {case.weight.out_features}, bias={case.bias}, compute_dtype=x.dtype"
    arguments = [
        "weight.cpu()",
        "requires_grad=False",
        f"blocksize={quantization.blocksize}",
        f"compress_statistics={quantization.compress_statistics}",
        f"quant_type={quantization.quant_type.value!r}",
        "module=layer",
    ]
    if quantization.storage is not StorageDType.UINT8:
        arguments.append(f"quant_storage=torch.{quantization.storage.value}")
    lines = [
        f"layer = bnb.nn.Linear4bit({size}, quant_type={quantization.quant_type.value!r})",
        f"layer.weight = bnb.nn.Params4bit({', '.join(arguments)})",
    ]
    mode = "train" if case.execution.grad else "eval"
    lines.append(f"layer = layer.to(x.device).{mode}()")
    if case.bias:
        lines.append("layer.bias = torch.nn.Parameter(bias, requires_grad=False)")
    return [*lines, "result = layer(x)"]


CALLS: Final[dict[str, Callable[[Case], list[str]]]] = {
    "quantize_4bit": _quantize,
    "matmul_4bit": _matmul,
    "gemv_4bit": _gemv,
    "gemv_4bit_op": _gemv_op,
    "gemv_4bit_out": _gemv_out,
    "dequantize_4bit": _dequantize,
    "dequantize_linear": _dequantize_linear,
    "gemm_4bit_op": _gemm_op,
    "linear4bit": _linear4bit,
}
