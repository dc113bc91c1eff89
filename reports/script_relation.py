"""The part of a script that makes two calls whose results must be equal, bit for bit."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import Final

from reports.finding import Finding
from reports.script_calls import CALLS, MAY_RECORD, quantize_lines
from strategies.case import Case


def relation_check(finding: Finding) -> str:
    """Lines that make both calls and exit with 1 if the second result does not follow from the first."""
    case = finding.case
    second, expected = _SECOND[finding.how]
    if finding.how == "zero_input" and finding.path not in _ADDS_BIAS:
        expected = "torch.zeros_like(first)"
    bias = "bias" if case.bias else "None"
    with_bias = dataclasses.replace(case, bias=True) if finding.how == "zero_bias" else case
    return "\n".join(
        [
            "",
            *_function("call", finding.path, case),
            *_function("call_again", finding.path, with_bias),
            *quantize_lines(case),
            f"bias = {bias}",
            "first = call(x, packed, state, bias)",
            f"outputs, terms = {case.weight.out_features}, {case.weight.in_features}",
            "x2, packed2, state2, bias2 = x.detach(), packed, copy.copy(state), bias",
            *[line for line in second if case.bias or "bias2" not in line or "torch.zeros" in line],
            *_requires_grad(finding),
            "try:",
            "    second = call_again(x2, packed2, state2, bias2)",
            *(
                ["    second = second.to(first.device)", "    torch.ones((), device='cuda')  # a refused launch raises here"]
                if finding.how == "second_gpu"
                else []
            ),
            "except Exception as error:",
            '    print(f"expected: a result, as from the first call\\ngot:      {type(error).__name__}: {error}")',
            "    sys.exit(1)",
            f"expected = {expected}",
            "second = second.reshape(expected.shape)",
            "wrong = ~((second == expected) | (second.isnan() & expected.isnan()))",
            *(["wrong &= first.abs() > torch.finfo(first.dtype).tiny  # of normal numbers"] if finding.how.startswith("scaled") else []),
            "place = int(wrong.flatten().int().argmax())",
            'print(f"expected: {float(expected.flatten()[place]):.9g}, which follows from the first call")',
            'print(f"got:      {float(second.flatten()[place]):.9g} at flat index {place}; {int(wrong.sum())} of {wrong.numel()} differ")',
            "sys.exit(bool(wrong.any()))",
        ]
    )


def _function(name: str, path: str, case: Case) -> list[str]:
    body = textwrap.indent("\n".join([*CALLS[path](case), "return result.detach()"]), "    ")
    return [f"def {name}(x, packed, state, bias):", body, "", ""]


_ADDS_BIAS: Final = frozenset({"matmul_4bit", "gemm_4bit_op", "linear4bit", "dequantize_linear"})


def _requires_grad(finding: Finding) -> list[str]:
    grad = finding.case.execution.grad and finding.path in MAY_RECORD
    return ["x2 = x2.clone().requires_grad_(True)"] if grad else []


_BYTES: Final = "data = packed.clone(memory_format=torch.contiguous_format).view(torch.uint8).flatten()"
_SECOND: Final[dict[str, tuple[list[str], str]]] = {
    "rerun": ([], "first"),
    "sign": (["x2 = -x2", "bias2 = -bias"], "-first"),
    "zero_input": (["x2 = torch.zeros_like(x2)"], "torch.zeros_like(first) if bias is None else bias.expand_as(first)"),
    "scaled_activation": (["x2 = x2 * 2", "bias2 = bias * 2"], "first * 2"),
    "scaled_weight": (["state2.absmax = state.absmax * 2", "bias2 = bias * 2"], "first * 2"),
    "zero_bias": (["bias2 = torch.zeros(outputs, dtype=x.dtype, device=x.device)"], "first"),
    "row_alone": (["x2 = x2.reshape(-1, terms)[:1].contiguous()"], "first.reshape(-1, outputs)[:1]"),
    "permuted_rows": (["x2 = x2.reshape(-1, terms).flip(0)"], "first.reshape(-1, outputs).flip(0)"),
    "permuted_outputs": (
        [
            _BYTES,
            "packed2 = data.reshape(outputs, -1).flip(0).contiguous().flatten().view(packed.dtype).reshape(-1, 1)",
            "state2.absmax = state.absmax.reshape(outputs, -1).flip(0).flatten()",
            "bias2 = bias.flip(0)",
        ],
        "first.flip(-1)",
    ),
    "appended_zeros": (
        [
            _BYTES,
            "data = torch.nn.functional.pad(data.reshape(outputs, -1), (0, state.blocksize // 2))",
            "packed2 = data.contiguous().flatten().view(packed.dtype).reshape(-1, 1)",
            "state2.absmax = torch.nn.functional.pad(state.absmax.reshape(outputs, -1), (0, 1), value=1.0).flatten()",
            "state2.shape = torch.Size((outputs, terms + state.blocksize))",
            "x2 = torch.nn.functional.pad(x2, (0, state.blocksize))",
        ],
        "first",
    ),
    "halved_blocksize": (
        [
            "state2.blocksize = state.blocksize // 2",
            "state2.absmax = state.absmax.repeat_interleave(2)[: -(-weight.numel() // state2.blocksize)].contiguous()",
        ],
        "first",
    ),
    "second_gpu": (
        [
            "x2, packed2 = x2.to('cuda:1'), packed.to('cuda:1')",
            "bias2 = bias.to('cuda:1')",
            "state2 = copy.deepcopy(state)",
            "state2.to('cuda:1')",
        ],
        "first",
    ),
    "storage_view": (
        [_BYTES, "packed2 = data.view(torch.bfloat16 if packed.dtype is torch.uint8 else torch.uint8).reshape(-1, 1)"],
        "first",
    ),
}
