"""Every way to get the product of a Case: the gemv ways in and the matrix ways in.

A path is data: a name, the surface it goes through, when it applies, and a function from prepared tensors to a result.
Adding a path is adding one entry to `PATHS`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch

from fuzz.engine import contract
from fuzz.engine.bounds import Arm
from fuzz.engine.library import Library
from fuzz.engine.tensors import FLOAT_DTYPES, STORAGE_DTYPES, Inputs
from strategies.case import Case, FloatDType, Layout, PackedView


@dataclass(frozen=True, slots=True)
class Prepared:
    """A Case on its device: inputs, and the packed weight in the view that the Case asks for, with its state."""

    case: Case
    library: Library
    weight: torch.Tensor
    activation: torch.Tensor
    bias: torch.Tensor | None
    packed: torch.Tensor
    state: Any

    def own_state(self) -> Any:
        """A copy of the quantization state: `matmul_4bit` of some releases assigns to its fields."""
        return copy.copy(self.state)

    def activation_for_autograd(self) -> torch.Tensor:
        """The activation, as a fresh leaf that requires grad if the Case says so."""
        return self.activation.clone().requires_grad_(self.case.execution.grad)


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


def prepare(case: Case, inputs: Inputs, library: Library) -> Prepared:
    """Move the inputs of a Case to the device and quantize its weight.

    Raises:
        Exception: whatever `quantize_4bit` raises.
    """
    from bitsandbytes import functional  # noqa: PLC0415

    weight = inputs.weight.to(library.device)
    packed, state = functional.quantize_4bit(
        weight,
        blocksize=case.quantization.blocksize,
        compress_statistics=case.quantization.compress_statistics,
        quant_type=case.quantization.quant_type.value,
        quant_storage=STORAGE_DTYPES[case.quantization.storage],
    )
    bias = None if inputs.bias is None else inputs.bias.to(library.device)
    return Prepared(case, library, weight, inputs.activation.to(library.device), bias, packed, state)


def in_view(prepared: Prepared) -> torch.Tensor:
    """The packed weight in the view that the Case asks for."""
    return prepared.packed if prepared.case.packed is PackedView.RETURNED else prepared.packed.t()


def _matmul(prepared: Prepared) -> torch.Tensor:
    import bitsandbytes  # noqa: PLC0415

    result: torch.Tensor = bitsandbytes.matmul_4bit(
        prepared.activation_for_autograd(), in_view(prepared), quant_state=prepared.own_state(), bias=prepared.bias
    )
    return result.detach()


def _gemv(prepared: Prepared) -> torch.Tensor:
    from bitsandbytes import functional  # noqa: PLC0415

    result: torch.Tensor = functional.gemv_4bit(prepared.activation, in_view(prepared), state=prepared.own_state())
    return result


def _op_arguments(prepared: Prepared) -> tuple[Any, ...]:
    from bitsandbytes import functional  # noqa: PLC0415

    state, absmax = prepared.state, prepared.state.absmax
    if state.nested:
        absmax = functional.dequantize_blockwise(absmax, state.state2) + state.offset
    return prepared.activation, in_view(prepared), state.shape, absmax, state.code, state.blocksize


def _gemv_op(prepared: Prepared) -> torch.Tensor:
    result: torch.Tensor = torch.ops.bitsandbytes.gemv_4bit.default(*_op_arguments(prepared))
    return result


def _gemv_out(prepared: Prepared) -> torch.Tensor:
    shape = (*prepared.activation.shape[:-1], prepared.state.shape[0])
    # Filled with NaN, so that an element that is not written is seen.
    out = torch.full(shape, float("nan"), dtype=prepared.activation.dtype, device=prepared.activation.device)
    torch.ops.bitsandbytes.gemv_4bit.out(*_op_arguments(prepared), out=out)
    return out


def _gemm_op(prepared: Prepared) -> torch.Tensor:
    state = prepared.state
    nested = (
        {
            "absmax_8bit": state.absmax,
            "absmax_code": state.state2.code,
            "absmax_offset": state.offset,
        }
        if state.nested
        else {}
    )
    result: torch.Tensor = torch.ops.bitsandbytes.gemm_4bit.default(
        prepared.activation,
        in_view(prepared),
        state.shape,
        state.state2.absmax if state.nested else state.absmax,
        state.blocksize,
        state.quant_type,
        bias=prepared.bias,
        **nested,
    )
    return result


def _dequantize(prepared: Prepared) -> torch.Tensor:
    from bitsandbytes import functional  # noqa: PLC0415

    result: torch.Tensor = functional.dequantize_4bit(in_view(prepared), prepared.own_state())
    return result


def _dequantize_linear(prepared: Prepared) -> torch.Tensor:
    weight = _dequantize(prepared).to(prepared.activation.dtype)
    # A transposed view gives a transposed weight (comment at the end of `functional.dequantize_4bit`).
    transposed = (prepared.case.packed is PackedView.TRANSPOSED) != (prepared.case.weight.layout is Layout.IN_OUT)
    return torch.nn.functional.linear(prepared.activation, weight.t() if transposed else weight, prepared.bias)


def _linear4bit(prepared: Prepared) -> torch.Tensor:
    module = _quantized_module(prepared)
    module.train(prepared.case.execution.grad)
    result: torch.Tensor = module(prepared.activation_for_autograd())
    return result.detach()


def _quantized_module(prepared: Prepared) -> torch.nn.Module:
    from bitsandbytes import nn  # noqa: PLC0415

    case = prepared.case
    module = nn.Linear4bit(
        case.weight.in_features,
        case.weight.out_features,
        bias=prepared.bias is not None,
        compute_dtype=FLOAT_DTYPES[case.activation_dtype],
        quant_type=case.quantization.quant_type.value,
    )
    module.weight = nn.Params4bit(
        prepared.weight.cpu(),
        requires_grad=False,
        blocksize=case.quantization.blocksize,
        compress_statistics=case.quantization.compress_statistics,
        quant_type=case.quantization.quant_type.value,
        quant_storage=STORAGE_DTYPES[case.quantization.storage],
        module=module,
    )
    if prepared.bias is not None:
        module.bias = torch.nn.Parameter(prepared.bias.cpu(), requires_grad=False)
    moved: torch.nn.Module = module.to(prepared.library.device)
    return moved


def _one_row(case: Case, library: Library) -> bool:  # noqa: ARG001
    return case.activation.rows == 1 and not case.execution.grad and not contract.is_ambiguous(case)


def _one_row_out(case: Case, library: Library) -> bool:
    return library.out_variant and _one_row(case, library)


def _gemm_applies(case: Case, library: Library) -> bool:
    return library.fused and not case.execution.grad and not contract.is_ambiguous(case)


def _as_linear(case: Case, library: Library) -> bool:  # noqa: ARG001
    # The module quantizes its own weight as [out, in]; a view of ours has no place in it.
    return case.weight.layout is Layout.OUT_IN and case.packed is PackedView.RETURNED


def _always(case: Case, library: Library) -> bool:  # noqa: ARG001
    return True


def _gemv_arms(case: Case, library: Library) -> tuple[Arm, ...]:  # noqa: ARG001
    if library.device == "cuda":
        return (Arm.SIMT,)
    return (Arm.CPU_BF16,) if library.cpu_repack else (Arm.DENSE,)


def _fused_arms(case: Case, library: Library) -> tuple[Arm, ...]:  # noqa: ARG001
    return (Arm.SIMT, Arm.DENSE) if library.device == "cuda" else (Arm.DENSE,)


def _linear_arms(case: Case, library: Library) -> tuple[Arm, ...]:
    repacked = library.cpu_repack and not case.execution.grad
    return (Arm.CPU_BF16,) if repacked else _fused_arms(case, library)


def _dense_arms(case: Case, library: Library) -> tuple[Arm, ...]:  # noqa: ARG001
    return (Arm.DENSE,)


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
        run=_dequantize,
        arms=_dense_arms,
        stored=_as_weight,
        yields_weight=True,
    ),
    Path(
        name="dequantize_linear",
        surface="functional.dequantize_4bit",
        applies=_always,
        run=_dequantize_linear,
        arms=_dense_arms,
        stored=_as_weight,
        requires="dequantize_4bit",
    ),
    Path(
        name="matmul_4bit",
        surface="functional.matmul_4bit",
        applies=contract.matmul_accepts,
        run=_matmul,
        arms=_fused_arms,
        stored=_matmul_stored,
    ),
    Path(
        name="gemm_4bit_op",
        surface="ops.gemm_4bit",
        applies=_gemm_applies,
        run=_gemm_op,
        arms=_fused_arms,
        stored=_as_activation,
    ),
    Path(
        name="linear4bit",
        surface="nn.Linear4bit",
        applies=_as_linear,
        run=_linear4bit,
        arms=_linear_arms,
        stored=_matmul_stored,
    ),
    Path(
        name="gemv_4bit",
        surface="functional.gemv_4bit",
        applies=_one_row,
        run=_gemv,
        arms=_gemv_arms,
        stored=_as_activation,
        adds_bias=False,
    ),
    Path(
        name="gemv_4bit_op",
        surface="ops.gemv_4bit",
        applies=_one_row,
        run=_gemv_op,
        arms=_gemv_arms,
        stored=_as_activation,
        requires="gemv_4bit",
        adds_bias=False,
    ),
    Path(
        name="gemv_4bit_out",
        surface="ops.gemv_4bit",
        applies=_one_row_out,
        run=_gemv_out,
        arms=_gemv_arms,
        stored=_as_activation,
        requires="gemv_4bit_op",
        adds_bias=False,
    ),
)

BY_NAME: Final = {path.name: path for path in PATHS}
