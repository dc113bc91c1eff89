"""Every way to get the product of a Case: the gemv ways in and the matrix ways in.

A path is data: a name, the surface it goes through, when it applies, what it may round, and its call. Adding a path is
adding one entry to `PATHS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch

from fuzz.engine import calls, contract, dispatch
from fuzz.engine.calls import Prepared
from fuzz.engine.library import Library
from fuzz.oracle.arms import Arm
from strategies.case import Case, FloatDType, Layout, Memory, PackedView


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """One way to get a result.

    Attributes:
        applies: whether the Case can be expressed on this path at all.
        arms: kernels that may run; the bound is that of the weakest.
        stored: dtype to which the weight is rounded before it is rounded to the activation's.
        requires: a path whose failure explains this one's, so that this one is then not run.
        adds_bias: whether the path takes a bias; where it does not, the Case's bias plays no part.
        yields_weight: the result is the weight, not a product.
    """

    name: str
    surface: str
    applies: Callable[[Case, Library], bool]
    run: Callable[[Prepared], torch.Tensor]
    arms: Callable[[Case, Library], tuple[Arm, ...]]
    stored: Callable[[Case, Library], FloatDType]
    requires: str | None = None
    adds_bias: bool = True
    yields_weight: bool = False


QUANTIZE: Final = "quantize_4bit"
QUANTIZE_SURFACE: Final = "functional.quantize_4bit"


def _one_row(case: Case, library: Library) -> bool:  # noqa: ARG001
    return case.activation.rows == 1 and not case.execution.grad and not contract.is_ambiguous(case)


def _one_row_out(case: Case, library: Library) -> bool:
    return library.out_variant and _one_row(case, library)


def _gemm_applies(case: Case, library: Library) -> bool:
    return library.fused and not case.execution.grad and not contract.is_ambiguous(case)


def _as_linear(case: Case, library: Library) -> bool:  # noqa: ARG001
    # The module quantizes its own weight as [out, in]; a packed weight of ours, in whatever view, has no place in it.
    as_returned = case.packed is PackedView.RETURNED and case.memory.packed is case.memory.absmax is Memory.CONTIGUOUS
    return case.weight.layout is Layout.OUT_IN and as_returned


def _always(case: Case, library: Library) -> bool:  # noqa: ARG001
    return True


def _dequantize_arms(case: Case, library: Library) -> tuple[Arm, ...]:  # noqa: ARG001
    return (Arm.DEQUANTIZE,)


def _dense_arms(case: Case, library: Library) -> tuple[Arm, ...]:  # noqa: ARG001
    return (Arm.LINEAR,)


def _as_weight(case: Case, library: Library) -> FloatDType:  # noqa: ARG001
    return case.weight.dtype


def _as_activation(case: Case, library: Library) -> FloatDType:  # noqa: ARG001
    return case.activation_dtype


def _matmul_stored(case: Case, library: Library) -> FloatDType:
    direct = library.fused and case.weight.layout is Layout.OUT_IN
    return case.activation_dtype if direct else case.weight.dtype


# What others require comes first, and what has ended processes comes last.
PATHS: Final[tuple[Path, ...]] = (
    Path(
        name="dequantize_4bit",
        surface="functional.dequantize_4bit",
        applies=_always,
        run=calls.dequantize,
        arms=_dequantize_arms,
        stored=_as_weight,
        yields_weight=True,
    ),
    Path(
        name="dequantize_linear",
        surface="functional.dequantize_4bit",
        applies=_always,
        run=calls.dequantize_linear,
        arms=_dense_arms,
        stored=_as_weight,
        requires="dequantize_4bit",
    ),
    Path(
        name="matmul_4bit",
        surface="functional.matmul_4bit",
        applies=contract.matmul_accepts,
        run=calls.matmul,
        arms=dispatch.matmul_arms,
        stored=_matmul_stored,
    ),
    Path(
        name="gemm_4bit_op",
        surface="ops.gemm_4bit",
        applies=_gemm_applies,
        run=calls.gemm_op,
        arms=dispatch.gemm_arms,
        stored=_as_activation,
    ),
    Path(
        name="linear4bit",
        surface="nn.Linear4bit",
        applies=_as_linear,
        run=calls.linear4bit,
        arms=dispatch.linear_arms,
        stored=_matmul_stored,
    ),
    Path(
        name="gemv_4bit",
        surface="functional.gemv_4bit",
        applies=_one_row,
        run=calls.gemv,
        arms=dispatch.gemv_arms,
        stored=_as_activation,
        adds_bias=False,
    ),
    Path(
        name="gemv_4bit_op",
        surface="ops.gemv_4bit",
        applies=_one_row,
        run=calls.gemv_op,
        arms=dispatch.gemv_arms,
        stored=_as_activation,
        requires="gemv_4bit",
        adds_bias=False,
    ),
    Path(
        name="gemv_4bit_out",
        surface="ops.gemv_4bit",
        applies=_one_row_out,
        run=calls.gemv_out,
        arms=dispatch.gemv_arms,
        stored=_as_activation,
        requires="gemv_4bit_op",
        adds_bias=False,
    ),
)

BY_NAME: Final = {path.name: path for path in PATHS}
