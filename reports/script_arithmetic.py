"""The part of a script that checks numbers against the kernel's own arithmetic, by quoting the emulation of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

from reports.finding import Finding
from reports.script_calls import SAME_ARITHMETIC
from reports.script_reference import code_table
from strategies.case import Layout, PackedView

GRADES: Final = frozenset({"arithmetic drift", "other bits"})
"""Grades of findings that the a-priori bound does not see."""


def arithmetic_check(finding: Finding, call: list[str]) -> str:
    """Lines that make the call, compute the one right bit pattern and exit with 1 if there is another.

    Raises:
        ValueError: it is not known which kernel ran, or its arithmetic is not.
    """
    if len(finding.arms) != 1 or finding.arms[0] not in _CHECKS:
        raise ValueError(f"{finding.signature}: no emulation of {', '.join(finding.arms)}")
    arm = finding.arms[0]
    return "\n".join([*_sources(finding, arm), "", *call, "", *_float32_weight(finding, arm), *_CHECKS[arm](finding), "", *_COMPARE])


_COMPARE: Final = [
    "got = result.detach().cpu().reshape(expected.shape)",
    "wrong = ~((got == expected) | (got.isnan() & expected.isnan()))",
    "worst = int(wrong.flatten().int().argmax())",
    'print(f"expected: {float(expected.flatten()[worst]):.9g} by the kernel\'s own arithmetic")',
    'print(f"got:      {float(got.flatten()[worst]):.9g} at flat index {worst}; {int(wrong.sum())} of {wrong.numel()} are wrong")',
    "sys.exit(bool(wrong.any()))",
]


def _sources(finding: Finding, arm: str) -> list[str]:
    """The functions of the emulation that a script needs, as they are in `fuzz.oracle`."""
    from fuzz.oracle import ordered, rounding, tensor_core  # noqa: PLC0415 - imports torch, which a run without findings does not need

    multiply_add: list[Callable[..., Any]] = [rounding.exact_sum, rounding.to_odd, rounding.multiply_add]
    lanes: list[Callable[..., Any]] = [ordered.steps_of_lanes, ordered.reaches_subnormal, ordered.sum_of_lanes]
    single = finding.case.activation_dtype.value == "float32"
    used: list[Callable[..., Any]] = []
    lines = ["FLUSH, LANES, PER_LANE = 2**-126, 32, 32"]
    if arm in {"simt", "gemv"}:
        used = [rounding.flush, *(multiply_add if single or _fused_scales(finding, arm) else []), *lanes]
        used.append(ordered.sum_by_lane_float32 if single else ordered.sum_by_lane)
    elif arm == "tensor_core":
        used = [*(multiply_add if _fused_scales(finding, arm) else []), rounding.flush, rounding.power_of_two]
        used += [rounding.ceil_float32, rounding.floor_float32, rounding.towards_zero_float32]
        used += [tensor_core.exponents, tensor_core.largest_exponent, tensor_core.fused_step, tensor_core.fused_sums]
        lines += ["SMALLEST_EXPONENT = {torch.float16: -14, torch.bfloat16: -126, torch.float32: -126}"]
        lines += ["", "", inspect.getsource(tensor_core.TensorCore).strip()]
    sources = [inspect.getsource(function).strip() for function in used]
    if arm == "tensor_core":
        lines = ["from dataclasses import dataclass", "", *lines]
    math = ["import math"] if any("math." in source for source in sources) else []
    return [*math, *lines, "", "", "\n\n\n".join(sources), ""]


def _fused_scales(finding: Finding, arm: str) -> bool:
    return finding.case.quantization.compress_statistics and arm in {"simt", "tensor_core"}


def _float32_weight(finding: Finding, arm: str) -> list[str]:
    """Code entry and scale of every element, float32."""
    case = finding.case
    turn = ".t()" if case.weight.layout is Layout.IN_OUT else ""
    lines = [
        "# Code entry and scale of every weight element: high nibble first.",
        *code_table(case.quantization.quant_type, ".float()"),
        "data = packed.detach().cpu().clone(memory_format=torch.contiguous_format).view(torch.uint8).flatten()",
        "index = torch.stack((data >> 4, data & 15), dim=1).flatten()[: weight.numel()].long()",
        f"block = torch.arange(weight.numel()) // {case.quantization.blocksize}",
    ]
    if case.quantization.compress_statistics:
        scale = "scale = entry * outer + offset"
        if _fused_scales(finding, arm):
            scale = "scale = multiply_add(entry, outer, offset.expand_as(entry))"
        lines += [
            "outer = state.state2.absmax.cpu()[torch.arange(state.absmax.numel()) // 256]",
            "entry, offset = state.state2.code.cpu()[state.absmax.cpu().long()], state.offset.cpu()",
            scale,
        ]
    else:
        lines.append("scale = state.absmax.cpu()")
    return [
        *lines,
        f"c = code[index].reshape{case.weight.stored_shape}{turn}",
        f"s = scale[block].reshape{case.weight.stored_shape}{turn}",
    ]


def _by_lane(finding: Finding, places: str, tree: str, *, pairs: bool) -> list[str]:
    case = finding.case
    if case.activation_dtype.value == "float32":
        total = f"sum_by_lane_float32(a, c * s, {places}, {tree})"
    else:
        total = f"sum_by_lane((a[:, None, :] * (c.to(a.dtype) * s.to(a.dtype))[None]).float(), {pairs}, {tree})"
    return [*_activation(finding), f"total = {total}", *_finish(finding)]


def _activation(finding: Finding) -> list[str]:
    return [f"a = x.detach().cpu().reshape(-1, {finding.case.weight.in_features})"]


def _finish(finding: Finding) -> list[str]:
    bias = finding.case.bias and not finding.path.startswith("gemv_4bit")
    return ["expected = flush(total + bias.cpu().float()).to(a.dtype)" if bias else "expected = flush(total).to(a.dtype)"]


def _simt(finding: Finding) -> list[str]:
    return _by_lane(finding, "(0, 4, 1, 5, 2, 6, 3, 7)", "(16, 8, 4, 2, 1)", pairs=True)


def _gemv(finding: Finding) -> list[str]:
    lines = _by_lane(finding, "tuple(range(8))", "(1, 2, 4, 8, 16)", pairs=False)
    if (
        finding.case.bias and SAME_ARITHMETIC.get(finding.path, finding.path) == "matmul_4bit"
    ):  # before 0.50: added to what gemv_4bit returned
        lines[-1] = "expected = (flush(total).to(a.dtype).float() + bias.cpu().float()).to(a.dtype)"
    return lines


def _tensor_core(finding: Finding) -> list[str]:
    major = finding.system.get("compute_capability", "9").split(".", maxsplit=1)[0]
    core = {"7": "TensorCore(4, 23)", "8": "TensorCore(8, 24)"}.get(major, "TensorCore(16, 25)")
    return [*_activation(finding), f"total = fused_sums(a, (c * s).to(a.dtype), {core})", *_finish(finding)]


def _dequantize(finding: Finding) -> list[str]:
    case = finding.case
    turned = (case.weight.layout is Layout.IN_OUT) != (case.packed is PackedView.TRANSPOSED)
    return [f"expected = (c * s).to(weight.dtype){'.t()' if turned else ''}"]


def _linear(finding: Finding) -> list[str]:
    case, path = finding.case, SAME_ARITHMETIC.get(finding.path, finding.path)
    direct = path in {"matmul_4bit", "gemm_4bit_op", "linear4bit"} and case.weight.layout is Layout.OUT_IN
    stored = "x.dtype" if direct else "weight.dtype"
    turn = ".t().contiguous()" if case.weight.layout is Layout.IN_OUT else ".contiguous()"
    bias = ", bias" if case.bias and not finding.path.startswith("gemv_4bit") else ""
    back = ".t()" if case.weight.layout is Layout.IN_OUT else ""
    return [
        f"w = (c * s).to({stored}){turn}.to(x.dtype).to(x.device)",
        f"expected = torch.nn.functional.linear(x.detach(), w{back}{bias}).cpu()",
    ]


_CHECKS: Final[dict[str, Callable[[Finding], list[str]]]] = {
    "simt": _simt,
    "gemv": _gemv,
    "tensor_core": _tensor_core,
    "linear": _linear,
    "dequantize": _dequantize,
}
