"""Exact relations: a second call whose result follows from the first one's, bit for bit, whatever the reference.

Each says when it must hold. "One kernel" means that the same fused or gemv kernel runs both times, by upstream's own
dispatch rule: its sums do not depend on where a row or an output lies (`csrc/gemm_4bit_simt.cu`, `csrc/gemm_4bit_sm80.cu`,
`kgemm_4bit_inference_naive`; none of them uses atomics). torch's linear may take another algorithm for another shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch

from fuzz.engine.calls import Prepared
from fuzz.engine.path import Path
from fuzz.engine.related import (
    appended_zeros,
    halved_blocksize,
    on_second_gpu,
    one_row,
    permuted_outputs,
    reversed_rows,
    storage_view,
    with_activation,
    with_bias,
    with_scales,
)
from fuzz.oracle.arms import Arm
from fuzz.oracle.operands import Nested, block_scales_float32
from strategies.case import CaseError, Layout, PackedView, Relation

ONE_KERNEL: Final = frozenset({Arm.SIMT, Arm.GEMV, Arm.TENSOR_CORE})
"""Kernels in which an output depends on its own row and column only."""

ANY_ARM: Final = frozenset(Arm) - {Arm.TRITON_QUANTIZE}
"""Kernels whose result can be compared with another one's."""
PRODUCTS: Final = ANY_ARM - {Arm.DEQUANTIZE, Arm.TRITON_DEQUANTIZE}

SAFE_EXPONENTS: Final = {torch.float16: (-14, 15), torch.bfloat16: (-100, 100), torch.float32: (-100, 100)}
"""Exponents between which a 16-bit number is normal and finite, and a float32 one far from its limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One relation.

    Attributes:
        source: why it must hold.
        arms: the kernels for which it must hold.
        second: the second call's inputs.
        expect: from the first result, the path and the second call's inputs to the second result.
        holds: further conditions on the first call's inputs.
        comparable: the outputs of the first result (bool) of which the relation speaks.
        on_weight: the relation changes the packed weight or its statistics, which `Linear4bit` makes itself.
    """

    source: str
    arms: frozenset[Arm]
    second: Callable[[Prepared], Prepared]
    expect: Callable[[torch.Tensor, Path, Prepared], torch.Tensor]
    holds: Callable[[Prepared], bool] = lambda prepared: True  # noqa: ARG005
    comparable: Callable[[torch.Tensor], torch.Tensor] = lambda result: torch.ones_like(result, dtype=torch.bool)
    on_weight: bool = False


def applies(rule: Rule, path: Path, prepared: Prepared, second: Prepared) -> bool:
    """Whether the relation must hold on a path: one and the same kernel, of which it is true, runs both times."""
    first_arms = path.arms(prepared.case, prepared.library)
    second_arms = path.arms(second.case, second.library)
    return len(first_arms) == 1 and first_arms == second_arms and first_arms[0] in rule.arms


def second_call(path: Path, prepared: Prepared) -> tuple[Rule, Prepared] | None:
    """The rule of the Case's relation and the second call's inputs; None where it need not hold."""
    rule = RULES.get(prepared.case.execution.relation)
    if rule is None or prepared.case.weight.layout is not Layout.OUT_IN or path.mode is not None:
        return None
    if (rule.on_weight and path.name == "linear4bit") or not rule.holds(prepared):
        return None
    try:
        second = rule.second(prepared)
    except CaseError:  # larger than a Case may be
        return None
    return (rule, second) if applies(rule, path, prepared, second) else None


def _unchanged(result: torch.Tensor, path: Path, second: Prepared) -> torch.Tensor:  # noqa: ARG001 - one signature
    return result


def _negated(result: torch.Tensor, path: Path, second: Prepared) -> torch.Tensor:  # noqa: ARG001
    return -result


def _doubled(result: torch.Tensor, path: Path, second: Prepared) -> torch.Tensor:  # noqa: ARG001
    return result * 2


def _bias_only(result: torch.Tensor, path: Path, second: Prepared) -> torch.Tensor:
    bias = second.bias if path.adds_bias else None
    return torch.zeros_like(result) if bias is None else bias.expand_as(result)


def _first_row(result: torch.Tensor, path: Path, second: Prepared) -> torch.Tensor:  # noqa: ARG001
    return result.reshape(-1, result.shape[-1])[:1]


def _rows_reversed(result: torch.Tensor, path: Path, second: Prepared) -> torch.Tensor:  # noqa: ARG001
    return result.reshape(-1, result.shape[-1]).flip(0)


def _outputs_reversed(result: torch.Tensor, path: Path, second: Prepared) -> torch.Tensor:  # noqa: ARG001
    return result.flip(-1)


def _scales_finite(prepared: Prepared) -> bool:
    """No scale becomes infinite in the activation's dtype: 0 * infinity would be NaN."""
    scales = block_scales_float32(prepared.state)[Nested.SEPARATE]
    return bool(scales.to(prepared.activation.dtype).isfinite().all())


def _exact_doubling(prepared: Prepared) -> bool:
    """Every factor, product and sum is a normal number before and after doubling, so that doubling changes no rounding."""
    low, high = SAFE_EXPONENTS[prepared.activation.dtype]
    stored_low, stored_high = SAFE_EXPONENTS[prepared.weight.dtype]
    x = prepared.activation.detach().double().abs()
    scales = block_scales_float32(prepared.state)[Nested.SEPARATE].double().abs()
    code = prepared.state.code.detach().double().abs().cpu()
    x, scales, code = (part[part != 0] for part in (x, scales, code))
    if not (len(x) and len(scales)):
        return False
    smallest = float(x.min()) * min(float(scales.min()) * float(code.min()), 1.0)
    weight = float(scales.min()) * float(code.min())
    largest = max(float(x.max()), 1.0) * max(float(scales.max()), 1.0) * prepared.case.weight.in_features + _largest_bias(prepared)
    bottom, top = max(low, stored_low), min(high, stored_high)
    return min(smallest, weight, float(x.min())) >= 2.0**bottom and largest * 4 <= 2.0**top


def _normal(result: torch.Tensor) -> torch.Tensor:
    """Outputs above the smallest normal number: what cancels to less is rounded as a subnormal one, doubled it is not."""
    return result.abs() > torch.finfo(result.dtype).tiny


def _largest_bias(prepared: Prepared) -> float:
    return 0.0 if prepared.bias is None else float(prepared.bias.abs().max())


def _plain(prepared: Prepared) -> bool:
    return not prepared.case.quantization.compress_statistics


def _whole_rows(prepared: Prepared) -> bool:
    """Plain statistics, and a row begins with a block and a byte."""
    case = prepared.case
    return _plain(prepared) and case.weight.in_features % case.quantization.blocksize == 0 and case.packed is PackedView.RETURNED


def _can_halve(prepared: Prepared) -> bool:
    case = prepared.case
    return _plain(prepared) and case.quantization.blocksize // 2 in prepared.library.documented_blocksizes


def _several_rows(prepared: Prepared) -> bool:
    return prepared.case.activation.rows > 1


def _has_second_gpu(prepared: Prepared) -> bool:
    """Whether there is another GPU of the same kind."""
    if prepared.library.device != "cuda" or torch.cuda.device_count() < 2:  # noqa: PLR2004 - two
        return False
    return torch.cuda.get_device_name(0) == torch.cuda.get_device_name(1)


def _unbiased(prepared: Prepared) -> bool:
    return prepared.bias is None


def _bytes_fill_two(prepared: Prepared) -> bool:
    held = prepared.packed.numel() * prepared.packed.element_size()
    return held % 2 == 0 and prepared.case.packed is PackedView.RETURNED


RULES: Final[dict[Relation, Rule]] = {
    Relation.RERUN: Rule(
        source="the same call on the same inputs; no kernel here uses atomics", arms=ANY_ARM, second=lambda p: p, expect=_unchanged
    ),
    Relation.SIGN: Rule(
        source="rounding to nearest and cutting off are symmetric: -x and -bias give -y",
        arms=PRODUCTS,
        second=lambda p: with_bias(with_activation(p, -p.activation), None if p.bias is None else -p.bias),
        expect=_negated,
    ),
    Relation.ZERO_INPUT: Rule(
        source="a sum of zeros is exact: x = 0 gives the bias",
        arms=PRODUCTS,
        second=lambda p: with_activation(p, torch.zeros_like(p.activation)),
        expect=_bias_only,
        holds=_scales_finite,
    ),
    Relation.SCALED_ACTIVATION: Rule(
        source="a power of two changes no rounding of normal numbers: 2 x and 2 bias give 2 y",
        arms=PRODUCTS,
        second=lambda p: with_bias(with_activation(p, p.activation * 2), None if p.bias is None else p.bias * 2),
        expect=_doubled,
        holds=_exact_doubling,
        comparable=_normal,
    ),
    Relation.SCALED_WEIGHT: Rule(
        source="a power of two changes no rounding of normal numbers: 2 absmax and 2 bias give 2 y",
        arms=ANY_ARM - {Arm.CPU_BF16},
        second=lambda p: with_bias(with_scales(p, 2.0), None if p.bias is None else p.bias * 2),
        expect=_doubled,
        holds=lambda p: _plain(p) and _exact_doubling(p),
        comparable=_normal,
        on_weight=True,
    ),
    Relation.ZERO_BIAS: Rule(
        source="the bias is added in float32 before the only rounding of the output, and adding 0 is exact",
        arms=frozenset({Arm.SIMT, Arm.TENSOR_CORE}),
        second=lambda p: with_bias(p, torch.zeros(p.case.weight.out_features, dtype=p.activation.dtype, device=p.activation.device)),
        expect=_unchanged,
        holds=_unbiased,
    ),
    Relation.ROW_ALONE: Rule(
        source="an output depends on its own row and column only, in one kernel",
        arms=ONE_KERNEL,
        second=one_row,
        expect=_first_row,
        holds=_several_rows,
    ),
    Relation.PERMUTED_ROWS: Rule(
        source="an output depends on its own row and column only, in one kernel",
        arms=ONE_KERNEL,
        second=reversed_rows,
        expect=_rows_reversed,
        holds=_several_rows,
    ),
    Relation.PERMUTED_OUTPUTS: Rule(
        source="an output depends on its own row and column only, in one kernel",
        arms=ONE_KERNEL,
        second=permuted_outputs,
        expect=_outputs_reversed,
        holds=_whole_rows,
        on_weight=True,
    ),
    Relation.APPENDED_ZEROS: Rule(
        source="terms of zero change no sum, and the others keep their order, in one kernel",
        arms=ONE_KERNEL,
        second=appended_zeros,
        expect=_unchanged,
        holds=_whole_rows,
        on_weight=True,
    ),
    Relation.HALVED_BLOCKSIZE: Rule(
        source="every scale twice as often, for half as many elements, is the same weight",
        arms=ANY_ARM - {Arm.CPU_BF16},
        second=halved_blocksize,
        expect=_unchanged,
        holds=_can_halve,
        on_weight=True,
    ),
    Relation.STORAGE_VIEW: Rule(
        source="quant_storage is a view of the same bytes (docstring of functional.quantize_4bit)",
        arms=ANY_ARM,
        second=storage_view,
        expect=_unchanged,
        holds=_bytes_fill_two,
        on_weight=True,
    ),
    Relation.SECOND_GPU: Rule(
        source="a call runs on the device of its tensors, and the same kernel gives the same bits on another GPU of the same kind",
        arms=ONE_KERNEL | {Arm.DEQUANTIZE},
        second=on_second_gpu,
        expect=_unchanged,
        holds=_has_second_gpu,
        on_weight=True,
    ),
}
