"""The part of a script that checks the numbers of `quantize_4bit`: scales, statistics of statistics, and codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from reports.finding import Finding
from reports.script_calls import quantize_call
from reports.script_reference import code_table

_NEAR_TIE: Final = "2 * (5 * 2**-24 + 5e-6)"
"""`fuzz.oracle.quantizing.NEAR_TIE`: the roundings of w / a, and thresholds of six decimal digits."""

_NEAR_TIE_8BIT: Final = "2 * 7 * 2**-24"
_SUBNORMAL: Final = "4 * 2**-126"
"""`fuzz.oracle.quantizing.SUBNORMAL`: what kernels flush to zero."""

_SCALES: Final = f"wrong = ~((got - expected).abs() <= {_SUBNORMAL}) & (expected != 0)"


def numbers_check(finding: Finding, call: list[str]) -> str:
    """Lines that make the call and exit with 1 while a number is wrong in the finding's way.

    Raises:
        ValueError: nothing is known about this way.
    """
    if finding.how not in _CHECKS:
        raise ValueError(f"{finding.signature}: no check of {finding.how!r}")
    return "\n".join([*call, "", *_CHECKS[finding.how](finding), *_END])


_END: Final = [
    "worst = int(wrong.int().argmax())",
    'print(f"expected: {float(expected[worst]):.9g}")',
    'print(f"got:      {float(got[worst]):.9g} at flat index {worst}; {int(wrong.sum())} of {wrong.numel()} are wrong")',
    "sys.exit(bool(wrong.any()))",
]


def _scales(finding: Finding) -> list[str]:
    """Lines for `w` (elements), `a` (largest magnitude of every block) and `block` (of every element)."""
    blocksize = finding.case.quantization.blocksize
    return [
        "w = weight.detach().cpu().double().flatten()",
        f"block = torch.arange(w.numel()) // {blocksize}",
        f"a = torch.nn.functional.pad(w, (0, -w.numel() % {blocksize})).reshape(-1, {blocksize}).abs().amax(-1)",
    ]


def _index(finding: Finding) -> list[str]:
    return [
        *code_table(finding.case.quantization.quant_type, ".double()"),
        "data = packed.detach().cpu().clone(memory_format=torch.contiguous_format).view(torch.uint8).flatten()",
        "index = torch.stack((data >> 4, data & 15), dim=1).flatten()[: w.numel()].long()",
    ]


def _nearest(values: str, scale: str, table: str, index: str, slack: str) -> list[str]:
    return [
        f"expected, got = {values}, {table}[{index}] * {scale}",
        f"nearest = ({values}[:, None] - {table} * {scale}[:, None]).abs().amin(1)",
        f"wrong = (expected - got).abs() > nearest + {slack} * expected.abs() + 2**-50 * {scale} + {_SUBNORMAL}",
    ]


def _wrong_scales(finding: Finding) -> list[str]:
    return [*_scales(finding), "expected, got = a, state.absmax.cpu().double()", _SCALES]


def _wrong_codes(finding: Finding) -> list[str]:
    return [*_scales(finding), *_index(finding), *_nearest("w", "a[block]", "code", "index", _NEAR_TIE)]


def _wrong_zeros(finding: Finding) -> list[str]:
    scale = "scale = state.absmax.cpu().double()"
    if finding.case.quantization.compress_statistics:
        scale = "scale = F.dequantize_blockwise(state.absmax, state.state2).cpu().double() + state.offset.cpu().double()"
    return [
        *_scales(finding),
        *_index(finding),
        scale,
        "expected, got = w, code[index] * scale[block]",
        "wrong = (a[block] == 0) & (got != 0)",
    ]


def _wrong_table(finding: Finding) -> list[str]:
    return [
        *code_table(finding.case.quantization.quant_type, ".float()"),
        "expected, got = code, state.code.cpu()",
        "wrong = got != expected",
    ]


def _wrong_offset(finding: Finding) -> list[str]:
    return [
        *_scales(finding),
        "expected, got = a.mean()[None], state.offset.cpu().double()[None]",
        f"wrong = (got - expected).abs() > (a.numel() + 3) * 2**-24 * a.mean() + {_SUBNORMAL}  # float32 sum in any order",
    ]


def _shifted(finding: Finding) -> list[str]:
    return [*_scales(finding), "d = (a.float() - state.offset.cpu()).double()", "outer = torch.arange(d.numel()) // 256"]


def _wrong_outer(finding: Finding) -> list[str]:
    return [
        *_shifted(finding),
        "expected = torch.nn.functional.pad(d, (0, -d.numel() % 256)).reshape(-1, 256).abs().amax(-1)",
        "got = state.state2.absmax.cpu().double()",
        _SCALES,
    ]


def _wrong_codes8(finding: Finding) -> list[str]:
    step = " + 2 * (1 / 65535 + 2**-21) * scale" if finding.system["device"] == "cpu" else ""
    lines = _nearest("d", "scale", "table", "state.absmax.cpu().long()", _NEAR_TIE_8BIT)
    return [
        *_shifted(finding),
        "scale = torch.nn.functional.pad(d, (0, -d.numel() % 256)).reshape(-1, 256).abs().amax(-1)[outer]",
        "table = state.state2.code.cpu().double()",
        *lines[:-1],
        lines[-1] + step,
    ]


def _wrong_in_time(finding: Finding) -> list[str]:
    """Of a call whose weight was still being written: against the same call now that it is written."""
    return [
        "def numbers(packed, state):",
        "    data = packed.detach().cpu().clone(memory_format=torch.contiguous_format).view(torch.uint8)",
        "    return torch.cat((data.flatten().double(), state.absmax.cpu().flatten().double()))  # codes, then scales",
        f"expected, got = numbers(*{quantize_call(finding.case)}), numbers(packed, state)",
        "wrong = (got != expected) & ~(got.isnan() & expected.isnan())",
    ]


_CHECKS: Final[dict[str, Callable[[Finding], list[str]]]] = {
    "": _wrong_in_time,
    "scales": _wrong_scales,
    "codes": _wrong_codes,
    "blocks of zeros": _wrong_zeros,
    "code table": _wrong_table,
    "offset": _wrong_offset,
    "outer scales": _wrong_outer,
    "8-bit codes": _wrong_codes8,
}
