"""The one call of a script, for each path, as lines that end with `result`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from reports.script_giant import giant_product, giant_quantized, giant_weight
from reports.script_outs import OUTS, activation_of, packed_out
from strategies.case import Case, Layout, Memory, PackedView, StorageDType, Stream
from strategies.misuse import WRONG_OUTS, Misuse

COMPILER: Final = "aot_eager"
"""The backend of `fuzz.engine.compiling`, for those that must not import torch."""
OPCHECKS: Final = ("test_schema", "test_faketensor")
"""The tests of `fuzz.engine.calls_opcheck`."""


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
    if case.execution.misuse in STORED_MISUSES:
        lines.append(STORED_MISUSES[case.execution.misuse])
    return lines


MISUSES: Final = {
    Misuse.SHORT_ACTIVATION: "x = x[..., :-1].contiguous()  # one feature less than the weight has",
    Misuse.LONG_ACTIVATION: "x = torch.cat((x, x[..., :1]), dim=-1)  # one feature more than the weight has",
    Misuse.INTEGER_ACTIVATION: "x = x.to(torch.int32)",
    Misuse.DOUBLE_ACTIVATION: "x = x.to(torch.float64)",
    Misuse.CPU_ACTIVATION: "x = x.cpu()",
    Misuse.SHORT_BIAS: "bias = bias[:-1]  # one output less than the weight has",
    Misuse.LONG_BIAS: "bias = torch.cat((bias, bias[:1]))  # one output more than the weight has",
    Misuse.OTHER_BIAS: "bias = bias.to(torch.float32 if bias.dtype is not torch.float32 else torch.bfloat16)",
}
STORED_MISUSES: Final = {
    Misuse.SHORT_PACKED: "packed = packed[: len(packed) // 2]",
    Misuse.SHORT_ABSMAX: "state.absmax = state.absmax[:-1]  # without the last block",
    Misuse.HALF_ABSMAX: "state.absmax = state.absmax.half()",
    Misuse.FOREIGN_STATE: "state.shape = torch.Size((2 * state.shape[0], state.shape[1]))  # of another weight",
}
"""What a script does to make a call that cannot be right, before and after the weight is quantized."""


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


def _op_arguments(case: Case, x: str = "x") -> str:
    return f"{x}, {_view(case)}, state.shape, absmax, state.code, state.blocksize"


def _gemv_op(case: Case) -> list[str]:
    return [*_absmax(case), f"result = torch.ops.bitsandbytes.gemv_4bit.default({_op_arguments(case)})"]


_GEMV_RESULT: Final = 'result = torch.full((*x.shape[:-1], state.shape[0]), float("nan"), dtype=x.dtype, device=x.device)'


def _gemv_out(case: Case) -> list[str]:
    arguments = _op_arguments(case, activation_of(case))
    return [*_absmax(case), *OUTS["gemv_4bit_out"](case, guard=False), f"torch.ops.bitsandbytes.gemv_4bit.out({arguments}, out=result)"]


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


def _gemm_arguments(case: Case) -> tuple[str, str]:
    """The arguments of the op `gemm_4bit`, and those with a name."""
    bias = ["bias=bias"] if case.bias else []
    absmax, nested = "state.absmax", []
    if case.quantization.compress_statistics:
        absmax, nested = "state.state2.absmax", ["absmax_8bit=state.absmax", "absmax_code=state.state2.code", "absmax_offset=state.offset"]
    return f"x, {_view(case)}, state.shape, {absmax}, state.blocksize, state.quant_type", ", ".join([*bias, *nested])


def _gemm_op(case: Case) -> list[str]:
    arguments = ", ".join(part for part in _gemm_arguments(case) if part)
    return [f"result = torch.ops.bitsandbytes.gemm_4bit.default({arguments})"]


def _layer(case: Case, name: str = "layer") -> str:
    size = f"{case.weight.in_features}, {case.weight.out_features}, bias={case.bias}, compute_dtype=x.dtype"
    return f"{name} = bnb.nn.Linear4bit({size}, quant_type={case.quantization.quant_type.value!r})"


def _quantized_layer(case: Case) -> list[str]:
    quantization = case.quantization
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
        _layer(case),
        f"layer.weight = bnb.nn.Params4bit({', '.join(arguments)})",
    ]
    mode = "train" if case.execution.grad else "eval"
    lines.append(f"layer = layer.to(x.device).{mode}()")
    if case.bias:
        lines.append("layer.bias = torch.nn.Parameter(bias, requires_grad=False)")
    return lines


def _linear4bit(case: Case) -> list[str]:
    return [*_quantized_layer(case), "result = layer(x)"]


def _kept(case: Case, lines: list[str]) -> list[str]:
    """A layer that is used, then becomes another one by `lines`."""
    mode = "train" if case.execution.grad else "eval"
    return [*_quantized_layer(case), "layer(x)", *lines, f"result = layer.{mode}()(x)"]


def _reloaded(case: Case) -> list[str]:
    bias = ['layer.bias = torch.nn.Parameter(saved.pop("bias"), requires_grad=False)'] if case.bias else []
    return _kept(
        case,
        [
            "saved = layer.state_dict()",
            _layer(case),
            *bias,
            'data = saved.pop("weight")',
            "layer.weight = bnb.nn.Params4bit.from_prequantized(data=data, quantized_stats=saved, device=x.device)",
            "layer = layer.to(x.device)",
        ],
    )


def _copied(case: Case) -> list[str]:
    return _kept(case, ["layer = copy.deepcopy(layer)"])


def _pickled(case: Case) -> list[str]:
    lines = ["file = io.BytesIO()", "torch.save(layer, file)", "file.seek(0)", "layer = torch.load(file, weights_only=False)"]
    return _kept(case, lines)


def _cast(case: Case) -> list[str]:
    other = "bfloat16" if case.quantization.storage is StorageDType.FLOAT16 else "float16"
    bias = ["layer.bias = torch.nn.Parameter(bias, requires_grad=False)"] if case.bias else []
    return _kept(case, [f"layer = layer.to(torch.{other})  # what is 4-bit stays what it is", *bias])


def _compiled(function: str) -> str:
    return f"function = torch.compile({function}, backend={COMPILER!r})"


def _matmul_compiled(case: Case) -> list[str]:
    return [_compiled("bnb.matmul_4bit"), f"result = function(x, {_view(case)}, quant_state=state{_bias(case)})"]


def _dequantize_compiled(case: Case) -> list[str]:
    return [_compiled("F.dequantize_4bit"), f"result = function({_view(case)}, state)"]


def _linear4bit_compiled(case: Case) -> list[str]:
    return [*_quantized_layer(case), _compiled("layer"), "result = function(x)"]


def _dequantize_op_arguments(case: Case) -> str:
    return f"packed, absmax, state.blocksize, state.quant_type, state.shape, torch.{case.weight.dtype.value}"


def _checked(op: str, arguments: str, named: str = "") -> list[str]:
    """The check of an op, and then its call."""
    given = ", ".join(part for part in (f"({arguments})", f"dict({named})" if named else "") if part)
    return [
        f"op = torch.ops.bitsandbytes.{op}",
        f"torch.library.opcheck(op, {given}, test_utils={OPCHECKS})",
        f"{'' if named.startswith('out=') else 'result = '}op({', '.join(part for part in (arguments, named) if part)})",
    ]


def _quantize_opcheck(case: Case) -> list[str]:
    quantization = case.quantization
    arguments = f"weight, {quantization.blocksize}, {quantization.quant_type.value!r}, torch.{quantization.storage.value}"
    return [*_checked("quantize_4bit.default", arguments), "result = F.dequantize_4bit(packed, state)"]


def _dequantize_opcheck(case: Case) -> list[str]:
    return [*_absmax(case), *_checked("dequantize_4bit.default", _dequantize_op_arguments(case))]


def _dequantize_out_opcheck(case: Case) -> list[str]:
    result = f'result = torch.full({case.weight.stored_shape}, float("nan"), dtype=weight.dtype, device=weight.device)'
    return [*_absmax(case), result, *_checked("dequantize_4bit.out", _dequantize_op_arguments(case), "out=result")]


def _gemm_opcheck(case: Case) -> list[str]:
    arguments, named = _gemm_arguments(case)
    return _checked("gemm_4bit.default", arguments, named)


def _gemv_opcheck(case: Case) -> list[str]:
    return [*_absmax(case), *_checked("gemv_4bit.default", _op_arguments(case))]


def _gemv_out_opcheck(case: Case) -> list[str]:
    return [*_absmax(case), _GEMV_RESULT, *_checked("gemv_4bit.out", _op_arguments(case), "out=result")]


def _replays(read: str, call: str) -> str:
    """Two replays of a graph of `call`; `both_replays` is quoted from `fuzz.engine.graphs`."""
    return f"first, result = both_replays([{read}], lambda: {call})"


def _replayed(call: Callable[[Case], list[str]]) -> Callable[[Case], list[str]]:
    """The lines of a call whose last one is captured, and replayed with another activation."""

    def lines(case: Case) -> list[str]:
        *before, last = call(case)
        return [*before, _replays("x", last.removeprefix("result = "))]

    return lines


def _dequantize_replayed(case: Case) -> list[str]:
    nested = ["state.offset", "state.state2.absmax"] if case.quantization.compress_statistics else []
    return [_replays(", ".join(["packed", "state.absmax", *nested]), f"F.dequantize_4bit({_view(case)}, state)")]


def _triton_quantize(case: Case) -> list[str]:
    quantization = case.quantization
    quant_type, blocksize = quantization.quant_type.value, quantization.blocksize
    arguments = f"weight, {blocksize}, {quant_type!r}, torch.{quantization.storage.value}"
    state = f"absmax=absmax, shape=weight.shape, code=None, blocksize={blocksize}, quant_type={quant_type!r}, dtype=weight.dtype"
    return [f"packed, absmax = triton_ops.quantize_4bit({arguments})", f"state = F.QuantState({state})"]


def _triton_dequantize(case: Case) -> list[str]:
    return [*_absmax(case), f"result = triton_ops.dequantize_4bit({_dequantize_op_arguments(case)})"]


def _triton_dequantize_inplace(case: Case) -> list[str]:
    result = OUTS["triton_dequantize_4bit_inplace"](case, guard=False)
    return [*_absmax(case), *result, f"triton_ops.dequantize_4bit_inplace({_dequantize_op_arguments(case)}, out=result)"]


def _triton_gemv(case: Case) -> list[str]:
    return [*_absmax(case), f"result = triton_ops.gemv_4bit({_op_arguments(case)})"]


def _matmul_out(case: Case) -> list[str]:
    arguments = f"{activation_of(case)}, {_view(case)}, quant_state=state{_bias(case)}"
    return [*OUTS["matmul_4bit_out"](case, guard=False), f"bnb.matmul_4bit({arguments}, out=result)"]


def _dequantize_out(case: Case) -> list[str]:
    return [*OUTS["dequantize_4bit_out"](case, guard=False), "F.dequantize_4bit(packed, state, out=result)"]


def _quantize_out(case: Case) -> list[str]:
    blocks = math.ceil(case.weight.elements / case.quantization.blocksize)
    call = quantize_call(case).removesuffix(")") + ", absmax=absmax, out=out)"
    written = "out" if case.execution.misuse in WRONG_OUTS else "F.dequantize_4bit(out.clone(memory_format=torch.contiguous_format), state)"
    return [
        f'absmax = torch.full(({blocks},), float("nan"), dtype=torch.float32, device=weight.device)',
        *packed_out(case),
        f"_, state = {call}",
        f"result = {written}",
    ]


def _gradient(case: Case) -> list[str]:
    """The gradient of the result; `integers` is the fill of that name."""
    return [f"gradient = integers({case.output_shape}, seed={case.seed_of(Stream.GRADIENT)}).to(x.dtype).to(x.device)"]


def _input_gradient(case: Case) -> list[str]:
    call = f"bnb.matmul_4bit(x, {_view(case)}, quant_state=state{_bias(case)})"
    return ["x = x.detach().requires_grad_()", *_gradient(case), f"{call}.backward(gradient)", "result = x.grad"]


def _bias_gradient(case: Case) -> list[str]:
    call = f"bnb.matmul_4bit(x, {_view(case)}, quant_state=state, bias=bias)"
    return ["bias = bias.detach().requires_grad_()", *_gradient(case), f"{call}.backward(gradient)", "result = bias.grad"]


def _module_gradient(case: Case) -> list[str]:
    lines = [*_quantized_layer(case), "layer.train()", "x = x.detach().requires_grad_()", *_gradient(case)]
    return [*lines, "layer(x).backward(gradient)", "result = x.grad"]


def _matmul_giant(case: Case) -> list[str]:
    bias = ", bias={bias}" if case.bias else ""
    return giant_product(case, f"bnb.matmul_4bit(x, {{packed}}, quant_state={{state}}{bias})")


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
    "dequantize_4bit_out": _dequantize_out,
    "quantize_4bit_out": _quantize_out,
    "matmul_4bit_out": _matmul_out,
    "matmul_4bit_input_gradient": _input_gradient,
    "matmul_4bit_bias_gradient": _bias_gradient,
    "linear4bit_input_gradient": _module_gradient,
    "linear4bit_reloaded": _reloaded,
    "linear4bit_copied": _copied,
    "linear4bit_pickled": _pickled,
    "linear4bit_cast": _cast,
    "dequantize_4bit_compiled": _dequantize_compiled,
    "matmul_4bit_compiled": _matmul_compiled,
    "linear4bit_compiled": _linear4bit_compiled,
    "quantize_4bit_opcheck": _quantize_opcheck,
    "dequantize_4bit_opcheck": _dequantize_opcheck,
    "dequantize_4bit_out_opcheck": _dequantize_out_opcheck,
    "gemm_4bit_opcheck": _gemm_opcheck,
    "gemv_4bit_opcheck": _gemv_opcheck,
    "gemv_4bit_out_opcheck": _gemv_out_opcheck,
    "dequantize_4bit_replayed": _dequantize_replayed,
    "matmul_4bit_replayed": _replayed(_matmul),
    "gemm_4bit_replayed": _replayed(_gemm_op),
    "linear4bit_replayed": _replayed(_linear4bit),
    "gemv_4bit_replayed": _replayed(_gemv),
    "gemv_4bit_op_replayed": _replayed(_gemv_op),
    "triton_quantize_4bit": _triton_quantize,
    "triton_dequantize_4bit": _triton_dequantize,
    "triton_dequantize_4bit_inplace": _triton_dequantize_inplace,
    "triton_gemv_4bit": _triton_gemv,
    "quantize_4bit_giant": lambda case: giant_quantized(quantize_call(case)),
    "dequantize_4bit_giant": lambda case: giant_weight(case, "F.dequantize_4bit({packed}, {state})"),
    "matmul_4bit_giant": _matmul_giant,
    "gemv_4bit_giant": lambda case: giant_product(case, "F.gemv_4bit(x, {packed}, state={state})"),
}
REPLAYED: Final = frozenset(path for path in CALLS if path.endswith("_replayed"))
"""Paths that are captured as CUDA graphs."""
QUANTIZING: Final = frozenset({"quantize_4bit", "triton_quantize_4bit"})
"""Paths that yield a packed weight and its state, which are `packed` and `state` in a script."""

_CHECKED_WEIGHTS: Final = ("quantize_4bit_opcheck", "dequantize_4bit_opcheck", "dequantize_4bit_out_opcheck")
WEIGHT_ONLY: Final = frozenset(
    {
        *QUANTIZING,
        *("dequantize_4bit", "dequantize_4bit_out", "quantize_4bit_out", "dequantize_4bit_compiled", "dequantize_4bit_replayed"),
        *("triton_dequantize_4bit", "triton_dequantize_4bit_inplace", "quantize_4bit_giant", "dequantize_4bit_giant"),
        *_CHECKED_WEIGHTS,
    }
)
"""Paths that end before an activation comes in."""

IN_VIEW: Final = frozenset({"dequantize_4bit", "dequantize_4bit_compiled", "dequantize_4bit_replayed"})
"""Those of them whose result follows the view of the packed weight."""

INPUT_GRADIENTS: Final = frozenset({"matmul_4bit_input_gradient", "linear4bit_input_gradient"})
BIAS_GRADIENTS: Final = frozenset({"matmul_4bit_bias_gradient"})
GRADIENTS: Final = INPUT_GRADIENTS | BIAS_GRADIENTS

_KEPT: Final = (
    "linear4bit_reloaded",
    "linear4bit_copied",
    "linear4bit_pickled",
    "linear4bit_cast",
)
"""Paths of a module that became another one."""

SAME_ARITHMETIC: Final = {
    "dequantize_4bit_out": "dequantize_4bit",
    "quantize_4bit_out": "dequantize_4bit",
    "matmul_4bit_out": "matmul_4bit",
    **dict.fromkeys(_KEPT, "linear4bit"),
    **{f"{path}_compiled": path for path in ("dequantize_4bit", "matmul_4bit", "linear4bit")},
    **{f"{path}_replayed": path for path in ("dequantize_4bit", "matmul_4bit", "linear4bit", "gemv_4bit", "gemv_4bit_op")},
    "gemm_4bit_replayed": "gemm_4bit_op",
    **dict.fromkeys(_CHECKED_WEIGHTS, "dequantize_4bit"),
    "gemm_4bit_opcheck": "gemm_4bit_op",
    "gemv_4bit_opcheck": "gemv_4bit_op",
    "gemv_4bit_out_opcheck": "gemv_4bit_out",
    "quantize_4bit_giant": "dequantize_4bit",
    **{f"{path}_giant": path for path in ("dequantize_4bit", "matmul_4bit", "gemv_4bit")},
}
"""Paths that compute what another one does, in the same way."""

MAY_RECORD: Final = frozenset(
    {*(f"{path}{mode}" for path in ("matmul_4bit", "linear4bit") for mode in ("", "_compiled", "_replayed")), *_KEPT}
)
"""Paths whose activation requires grad where the Case says so."""


def result_shape(path: str, case: Case) -> tuple[int, ...]:
    """The shape that the result of `path` is to have."""
    if path in WEIGHT_ONLY:
        turned = path in IN_VIEW and case.packed is PackedView.TRANSPOSED
        return case.weight.stored_shape[::-1] if turned else case.weight.stored_shape
    if path in INPUT_GRADIENTS:
        return (*case.activation.leading, case.weight.in_features)
    return (case.weight.out_features,) if path in BIAS_GRADIENTS else case.output_shape
