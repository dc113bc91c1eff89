"""When paths take a Case, which kernels they may run, and what they round the weight to: what several paths share."""

from __future__ import annotations

import math
from collections.abc import Callable

from fuzz.engine import contract
from fuzz.engine.library import Library
from fuzz.oracle.arms import Arm
from strategies.case import Case, FloatDType, Layout, Memory, PackedView
from strategies.giant import BEYOND, can_be_repeated, repeated


def always(case: Case, library: Library) -> bool:  # noqa: ARG001 - one signature for all
    """Every Case."""
    return True


def one_row(case: Case, library: Library) -> bool:  # noqa: ARG001
    """What gemv takes: one row, no gradient, and a layout that the shape tells."""
    return case.activation.rows == 1 and not case.execution.grad and not contract.is_ambiguous(case)


def one_row_out(case: Case, library: Library) -> bool:
    """The same where the op has a variant that writes to a given tensor."""
    return library.out_variant and one_row(case, library)


def gemm(case: Case, library: Library) -> bool:
    """What the op `gemm_4bit` takes, where there is one."""
    return library.fused and not case.execution.grad and not contract.is_ambiguous(case)


def as_linear(case: Case, library: Library) -> bool:  # noqa: ARG001
    """The module quantizes its own weight as [out, in]; a packed weight of ours, in whatever view, has no place in it."""
    as_returned = case.packed is PackedView.RETURNED and case.memory.packed is case.memory.absmax is Memory.CONTIGUOUS
    return case.weight.layout is Layout.OUT_IN and as_returned


def returned(case: Case, library: Library) -> bool:  # noqa: ARG001
    """The packed weight in the view in which it was returned."""
    return case.packed is PackedView.RETURNED


def returned_out(case: Case, library: Library) -> bool:
    """The same where ops have a variant that writes to a given tensor: a backend has it for both 4-bit ops or for neither."""
    return library.out_variant and returned(case, library)


def matmul_out_in(case: Case, library: Library) -> bool:
    """What `matmul_4bit` takes, in the layout that it is for."""
    return case.weight.layout is Layout.OUT_IN and contract.matmul_accepts(case, library)


def gemm_out_in(case: Case, library: Library) -> bool:
    """What the op `gemm_4bit` takes, in the layout that it is for."""
    return case.weight.layout is Layout.OUT_IN and gemm(case, library)


def gemv_out_in(case: Case, library: Library) -> bool:
    """What gemv takes, in the layout that it is for."""
    return case.weight.layout is Layout.OUT_IN and one_row(case, library)


def gemv_out_in_out(case: Case, library: Library) -> bool:
    """The same where the op has a variant that writes to a given tensor."""
    return library.out_variant and gemv_out_in(case, library)


def on_cuda(applies: Callable[[Case, Library], bool]) -> Callable[[Case, Library], bool]:
    """The same where there is a GPU."""
    return lambda case, library: library.device == "cuda" and applies(case, library)


def triton_plain(case: Case, library: Library) -> bool:
    """Plain statistics, where Triton's functions can be called: its `quantize_4bit` has no others."""
    return library.triton and not case.quantization.compress_statistics


def triton_returned(case: Case, library: Library) -> bool:
    """The packed weight in the view in which it was returned, where Triton's functions can be called."""
    return library.triton and returned(case, library)


def triton_gemv(case: Case, library: Library) -> bool:
    """What gemv takes, in the layout that it is for, where Triton's functions can be called.

    It multiplies by the code table that it is handed, which `functional.quantize_4bit` rounds under another default dtype.
    """
    return library.triton and case.execution.default_dtype is FloatDType.FLOAT32 and gemv_out_in(case, library)


def matmul_without_grad(case: Case, library: Library) -> bool:
    """What `matmul_4bit` takes, without gradients: torch's own functions refuse `out=` where autograd records."""
    return not case.execution.grad and contract.matmul_accepts(case, library)


def matmul_with_bias(case: Case, library: Library) -> bool:
    """What `matmul_4bit` takes, with a bias."""
    return case.bias and contract.matmul_accepts(case, library)


def giant(applies: Callable[[Case, Library], bool]) -> Callable[[Case, Library], bool]:
    """The same of what can be repeated without a change, where a GPU has room for it: no run takes a whole machine's memory."""
    return lambda case, library: library.device == "cuda" and can_be_repeated(case) and applies(case, library)


def giant_arms(arms: Callable[[Case, Library], tuple[Arm, ...]]) -> Callable[[Case, Library], tuple[Arm, ...]]:
    """The kernels that may run for a small weight, and for the giants that are made of it."""

    def every(case: Case, library: Library) -> tuple[Arm, ...]:
        asked = [case, *(repeated(case, elements) for elements in BEYOND)]
        return tuple(dict.fromkeys(arm for one in asked for arm in arms(one, library)))

    return every


def dequantize_arms(case: Case, library: Library) -> tuple[Arm, ...]:  # noqa: ARG001
    """No product at all."""
    return (Arm.DEQUANTIZE,)


def triton_quantize_arms(case: Case, library: Library) -> tuple[Arm, ...]:  # noqa: ARG001
    """No product, and no bound: statistics are exact, and codes nearest ones."""
    return (Arm.TRITON_QUANTIZE,)


def triton_dequantize_arms(case: Case, library: Library) -> tuple[Arm, ...]:  # noqa: ARG001
    """No product, and Triton's own codes."""
    return (Arm.TRITON_DEQUANTIZE,)


def triton_linear_arms(case: Case, library: Library) -> tuple[Arm, ...]:  # noqa: ARG001
    """A dense product of what Triton dequantized."""
    return (Arm.TRITON_LINEAR,)


def dense_arms(case: Case, library: Library) -> tuple[Arm, ...]:  # noqa: ARG001
    """A dense product of the dequantized weight."""
    return (Arm.LINEAR,)


def as_weight(case: Case, library: Library) -> FloatDType:  # noqa: ARG001
    """The weight is first rounded to the dtype that it had."""
    return case.weight.dtype


def as_activation(case: Case, library: Library) -> FloatDType:  # noqa: ARG001
    """The weight is rounded to the activation's dtype at once."""
    return case.activation_dtype


def matmul_stored(case: Case, library: Library) -> FloatDType:
    """From 0.50 on the weight goes to the activation's dtype at once, unless it is [in, out]."""
    direct = library.fused and case.weight.layout is Layout.OUT_IN
    return case.activation_dtype if direct else case.weight.dtype


def product_shape(case: Case) -> tuple[int, ...]:
    """The shape of a product."""
    return case.output_shape


def weight_shape(case: Case) -> tuple[int, ...]:
    """The shape of a dequantized weight."""
    return case.weight.stored_shape


def packed_shape(case: Case) -> tuple[int, ...]:
    """The shape of a packed weight."""
    return (math.ceil(case.weight.elements / (2 * case.quantization.storage.itemsize)), 1)
