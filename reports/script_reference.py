"""The part of a script that checks numbers: decodes the weight by itself and compares within a derived bound."""

from __future__ import annotations

from typing import Final

from reports.finding import Finding
from reports.script_calls import BIAS_GRADIENTS, GRADIENTS, IN_VIEW, INPUT_GRADIENTS, WEIGHT_ONLY
from strategies.case import NON_FINITE, Case, Fill, Layout, PackedView, QuantType

_CODES: Final = {
    QuantType.NF4: (
        "[-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,",
        "     -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,",
        "     0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]",
    ),
    QuantType.FP4: (
        "[0, 0.0625 / 12, 8 / 12, 1, 4 / 12, 6 / 12, 2 / 12, 3 / 12,",
        "     -0.0, -0.0625 / 12, -8 / 12, -1, -4 / 12, -6 / 12, -2 / 12, -3 / 12]",
    ),
}
_ROUNDOFF: Final = {"float32": "2**-24", "float16": "2**-11", "bfloat16": "2**-8"}
_NEVER_SUBNORMAL: Final = frozenset({Fill.ONES, Fill.ONE_HOT, Fill.INTEGERS, Fill.ZEROS, Fill.ZERO_BLOCKS})
"""Fills whose numbers, and codes times scales, are normal in float16 or zero."""

_UNDERFLOW: Final = {"float32": "2**-126", "float16": "2**-25", "bfloat16": "2**-126"}


def value_check(finding: Finding, call: list[str]) -> str:
    """Lines that make the call, compute the expected numbers in float64 and exit with 1 if one is out of bounds.

    Raises:
        ValueError: the finding carries no error model.
    """
    if finding.model is None:
        raise ValueError(f"{finding.signature}: wrong values without an error model")
    expected = _expected_weight(finding) if finding.path in WEIGHT_ONLY else expected_product(finding)
    return "\n".join([*call, "", *decode(finding.case), "", *factors(finding), *expected, "", *_compare(finding)])


def factors(finding: Finding) -> list[str]:
    """Lines that make a gradient a product `a @ w.t()`, whose names and bounds the lines after them use."""
    if finding.path in INPUT_GRADIENTS:
        turned = ", slack" if finding.case.quantization.compress_statistics else ""
        return ["# The gradient of x is gradient @ w.", f"x, w, c{turned} = gradient, w.t(), c.t(){', slack.t()' if turned else ''}"]
    if finding.path in BIAS_GRADIENTS:
        rows = "gradient.reshape(-1, gradient.shape[-1]).t()"
        lines = ["# The gradient of the bias is that of the result, summed over all rows.", f"x, result = {rows}, result.reshape(-1, 1)"]
        zero = ["slack = torch.zeros_like(w)"] if finding.case.quantization.compress_statistics else []
        return [*lines, "w = c = torch.ones(1, x.shape[-1], dtype=torch.float64)", *zero]
    return []


def code_table(quant_type: QuantType, suffix: str) -> list[str]:
    """The line that defines the code table, as a tensor of the dtype that `suffix` turns it into."""
    first, *rest = _CODES[quant_type]
    return [f"code = torch.tensor(\n    {first}" + "".join(f"\n{line}" for line in rest) + f",\n    dtype=torch.float32,\n){suffix}"]


def decode(case: Case) -> list[str]:
    """Lines that decode the packed weight into codes `c` and weights `w`, [out_features, in_features], float64."""
    lines = [
        "# The weight that the packed bytes stand for: high nibble first, code times the scale of its block, in float64.",
        *code_table(case.quantization.quant_type, ".double()"),
        "data = packed.detach().cpu().clone(memory_format=torch.contiguous_format).view(torch.uint8).flatten()",
        "index = torch.stack((data >> 4, data & 15), dim=1).flatten()[: weight.numel()].long()",
        f"block = torch.arange(weight.numel()) // {case.quantization.blocksize}",
    ]
    shape = case.weight.stored_shape
    turn = ".t()" if case.weight.layout is Layout.IN_OUT else ""
    if case.quantization.compress_statistics:
        lines += [
            "outer = state.state2.absmax.cpu().double()[torch.arange(state.absmax.numel()) // 256]",
            "scaled = state.state2.code.cpu().double()[state.absmax.cpu().long()] * outer",
            "scale = scaled + state.offset.cpu().double()",
            "slack = 2 * 2**-24 * (scaled.abs() + scale.abs())  # two float32 roundings of each scale",
            f"slack = slack[block].reshape{shape}{turn}",
        ]
    else:
        lines.append("scale = state.absmax.cpu().double()")
    return [
        *lines,
        f"c = code[index].reshape{shape}{turn}  # [out_features, in_features]",
        f"w = (code[index] * scale[block]).reshape{shape}{turn}",
    ]


def _expected_weight(finding: Finding) -> list[str]:
    case = finding.case
    turned_view = finding.path in IN_VIEW and case.packed is PackedView.TRANSPOSED
    turned = (case.weight.layout is Layout.IN_OUT) != turned_view
    turn = ".t()" if turned else ""
    lines = [f"expected = w{turn}", f"magnitude = w.abs(){turn}"]
    if case.quantization.compress_statistics:
        lines.append(f"scale_error = (c.abs() * slack){turn}")
    return lines


def expected_product(finding: Finding) -> list[str]:
    """Lines that compute the product `expected`, and the sum of magnitudes beside it, float64."""
    lines = ["a = x.detach().cpu().double()", "product = a @ w.t()", "magnitude = a.abs() @ w.abs().t()"]
    case = finding.case
    if case.activation_dtype.value == "float16" and not {case.activation.fill, case.weight.fill} <= _NEVER_SUBNORMAL:
        lines[2:] = [
            "a2, w2 = (torch.where(v == 0, 0.0, v.abs().clamp(min=2**-14)) for v in (a, w))  # as tensor cores align them",
            "magnitude = a2 @ w2.t()",
        ]
    if finding.case.quantization.compress_statistics:
        lines.append("scale_error = a.abs() @ (c.abs() * slack).t()")
    if case.activation.fill is Fill.SUBNORMAL:
        lines.append("flushed = torch.where(a.abs() < 2**-126, a.abs(), 0.0) @ w.abs().t()  # a kernel may take it for zero")
    return [*lines, "expected = product + bias.cpu().double()" if _adds_bias(finding) else "expected = product"]


def _no_numbers(finding: Finding) -> list[str]:
    """The line that says what is right where infinity or NaN is among the inputs."""
    case = finding.case
    if NON_FINITE.isdisjoint({case.weight.fill, case.activation.fill}):
        return []
    if {"linear", "triton_linear"} & set(finding.arms):
        return ["wrong &= expected.isfinite() & got.isfinite()  # torch's own product promises nothing for what is no number"]
    return ["wrong = torch.where(expected.isfinite(), wrong, got.isfinite())  # of what is no number, any is right"]


def _adds_bias(finding: Finding) -> bool:
    adds_none = finding.path in WEIGHT_ONLY | GRADIENTS or finding.path.removeprefix("triton_").startswith("gemv_4bit")
    return finding.case.bias and not adds_none


def _bias_term(finding: Finding) -> str:
    coefficient = (finding.model or {}).get("bias", 0.0)
    return f" + {coefficient:.8g} * bias.cpu().double().abs()" if coefficient and _adds_bias(finding) else ""


def _compare(finding: Finding) -> list[str]:
    model = finding.model or {}
    case = finding.case
    dtype = (case.weight.dtype if finding.path in WEIGHT_ONLY else case.activation_dtype).value
    magnitude, scale_error = "magnitude", ""
    if case.quantization.compress_statistics:
        magnitude, scale_error = "(magnitude + scale_error)", " + scale_error"
    base = f"{model['product']:.8g} * {magnitude}{scale_error}"
    if finding.path not in WEIGHT_ONLY:
        flushed = " + flushed" if case.activation.fill is Fill.SUBNORMAL else ""
        base += f"{flushed} + {model['code']:.8g} * (a.abs() @ c.abs().t()) + {model['activation']:.8g} * a.abs().sum(-1, keepdim=True)"
    size = "torch.maximum(expected.abs(), product.abs())" if _adds_bias(finding) else "expected.abs()"
    late = f"{model['late_rounding']:.8g} * (size + bound) + {model['late_underflow']:.8g} + " if model["late_rounding"] else ""
    return [
        "# Bound on the rounding error of any summation order: unit roundoff of each step times sum|x||w|, and underflow.",
        f"bound = {base}{_bias_term(finding)} + {model['constant']:.8g}",
        f"size = {size}",
        f"bound = bound + {late}2**-23 * (size + bound)",
        f"bound = bound + {_ROUNDOFF[dtype]} * (size + bound) + {_UNDERFLOW[dtype]}  # the output's own rounding",
        "got = result.detach().cpu().double()",
        "wrong = ~((got - expected).abs() <= bound)",
        *_no_numbers(finding),
        "ratio = torch.nan_to_num((got - expected).abs() / bound, nan=float('inf'))",
        "worst = int(ratio.argmax())",
        'print(f"expected: {expected.flatten()[worst]:.9g} within {bound.flatten()[worst]:.3g}")',
        'print(f"got:      {got.flatten()[worst]:.9g} at flat index {worst}; {int(wrong.sum())} of {wrong.numel()} are wrong")',
        "sys.exit(bool(wrong.any()))",
    ]
