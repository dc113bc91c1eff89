"""The calls into bitsandbytes, one function a path: prepared tensors in, result out.

bitsandbytes is imported in each function, because importing it initialises CUDA and only the child may do that.
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from typing import Any

import torch

from fuzz.engine.library import Library
from fuzz.engine.tensors import FLOAT_DTYPES, STORAGE_DTYPES, Inputs
from strategies.case import Case, Layout, PackedView
from strategies.memory import LAYOUTS


@dataclass(frozen=True, slots=True)
class Prepared:
    """A Case on its device: inputs, and the packed weight in the view that the Case asks for, with its state.

    `layer` is a `Linear4bit` of the Case that was made beforehand; None where the call makes it itself.
    """

    case: Case
    library: Library
    weight: torch.Tensor
    activation: torch.Tensor
    bias: torch.Tensor | None
    packed: torch.Tensor
    state: Any
    layer: Any = None

    def own_state(self) -> Any:
        """A copy of the quantization state: `matmul_4bit` of some releases assigns to its fields."""
        return copy.copy(self.state)

    def activation_for_autograd(self) -> torch.Tensor:
        """The activation, as a fresh leaf that requires grad if the Case says so; its strides are kept."""
        return self.activation.detach().requires_grad_(self.case.execution.grad)


@dataclass(frozen=True, slots=True)
class Placed:
    """The inputs of a Case on its device, each in its memory layout."""

    weight: torch.Tensor
    activation: torch.Tensor
    bias: torch.Tensor | None


def place(case: Case, inputs: Inputs, library: Library) -> Placed:
    """Move the inputs of a Case to the device and lay them out."""
    memory, device = case.memory, library.device
    return Placed(
        weight=LAYOUTS[memory.weight](inputs.weight.to(device)),
        activation=LAYOUTS[memory.activation](inputs.activation.to(device)),
        bias=None if inputs.bias is None else LAYOUTS[memory.bias](inputs.bias.to(device)),
    )


def prepare(case: Case, inputs: Inputs, library: Library) -> Prepared:
    """Move the inputs of a Case to the device and quantize its weight.

    Raises:
        Exception: whatever `quantize_4bit` raises.
    """
    return quantize(case, place(case, inputs, library), library)


def quantize(case: Case, placed: Placed, library: Library) -> Prepared:
    """Quantize the weight of a Case, and lay out the result.

    Raises:
        Exception: whatever `quantize_4bit` raises.
    """
    from bitsandbytes import functional  # noqa: PLC0415

    packed, state = functional.quantize_4bit(
        placed.weight,
        blocksize=case.quantization.blocksize,
        compress_statistics=case.quantization.compress_statistics,
        quant_type=case.quantization.quant_type.value,
        quant_storage=STORAGE_DTYPES[case.quantization.storage],
    )
    state.absmax = LAYOUTS[case.memory.absmax](state.absmax)
    return Prepared(
        case=case,
        library=library,
        weight=placed.weight,
        activation=placed.activation,
        bias=placed.bias,
        packed=LAYOUTS[case.memory.packed](packed),
        state=state,
    )


def in_view(prepared: Prepared) -> torch.Tensor:
    """The packed weight in the view that the Case asks for."""
    return prepared.packed if prepared.case.packed is PackedView.RETURNED else prepared.packed.t()


def matmul(prepared: Prepared) -> torch.Tensor:
    """`matmul_4bit`, with grad if the Case says so."""
    import bitsandbytes  # noqa: PLC0415

    result: torch.Tensor = bitsandbytes.matmul_4bit(
        prepared.activation_for_autograd(), in_view(prepared), quant_state=prepared.own_state(), bias=prepared.bias
    )
    return result.detach()


def gemv(prepared: Prepared) -> torch.Tensor:
    """`functional.gemv_4bit`."""
    from bitsandbytes import functional  # noqa: PLC0415

    result: torch.Tensor = functional.gemv_4bit(prepared.activation, in_view(prepared), state=prepared.own_state())
    return result


def plain_absmax(prepared: Prepared) -> torch.Tensor:
    """One scale a block, float32, as the ops take them, whether or not the statistics are compressed."""
    from bitsandbytes import functional  # noqa: PLC0415

    state = prepared.state
    absmax: torch.Tensor = state.absmax
    return functional.dequantize_blockwise(absmax, state.state2) + state.offset if state.nested else absmax


def dequantize_arguments(prepared: Prepared) -> tuple[Any, ...]:
    """What the op `dequantize_4bit` is handed."""
    state, dtype = prepared.state, FLOAT_DTYPES[prepared.case.weight.dtype]
    return prepared.packed, plain_absmax(prepared), state.blocksize, state.quant_type, state.shape, dtype


def gemv_arguments(prepared: Prepared) -> tuple[Any, ...]:
    """What the op `gemv_4bit` is handed."""
    state = prepared.state
    return prepared.activation, in_view(prepared), state.shape, plain_absmax(prepared), state.code, state.blocksize


def gemv_op(prepared: Prepared) -> torch.Tensor:
    """The op `gemv_4bit`."""
    result: torch.Tensor = torch.ops.bitsandbytes.gemv_4bit.default(*gemv_arguments(prepared))
    return result


def gemm_arguments(prepared: Prepared) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What the op `gemm_4bit` is handed, as `matmul_4bit` does it: arguments, and those with a name."""
    state = prepared.state
    arguments = (
        prepared.activation,
        in_view(prepared),
        state.shape,
        state.state2.absmax if state.nested else state.absmax,
        state.blocksize,
        state.quant_type,
    )
    if not state.nested:
        return arguments, {"bias": prepared.bias}
    nested = {"absmax_8bit": state.absmax, "absmax_code": state.state2.code, "absmax_offset": state.offset}
    return arguments, {"bias": prepared.bias, **nested}


def gemm_op(prepared: Prepared) -> torch.Tensor:
    """The op `gemm_4bit`."""
    arguments, named = gemm_arguments(prepared)
    result: torch.Tensor = torch.ops.bitsandbytes.gemm_4bit.default(*arguments, **named)
    return result


def dequantize(prepared: Prepared) -> torch.Tensor:
    """`functional.dequantize_4bit`."""
    from bitsandbytes import functional  # noqa: PLC0415

    result: torch.Tensor = functional.dequantize_4bit(in_view(prepared), prepared.own_state())
    return result


def dequantize_linear(prepared: Prepared) -> torch.Tensor:
    """`functional.dequantize_4bit`, then a dense product."""
    weight = dequantize(prepared).to(prepared.activation.dtype)
    # A transposed view gives a transposed weight (comment at the end of `functional.dequantize_4bit`).
    transposed = (prepared.case.packed is PackedView.TRANSPOSED) != (prepared.case.weight.layout is Layout.IN_OUT)
    return torch.nn.functional.linear(prepared.activation, weight.t() if transposed else weight, prepared.bias)


def linear4bit(prepared: Prepared) -> torch.Tensor:
    """`nn.Linear4bit`: in training mode with grad, in eval mode without."""
    module = quantized_module(prepared) if prepared.layer is None else prepared.layer
    module.train(prepared.case.execution.grad)
    result: torch.Tensor = module(prepared.activation_for_autograd())
    return result.detach()


def with_layer(prepared: Prepared) -> Prepared:
    """The same with its `Linear4bit` made, which waits for the stream: its weight comes from the memory of the CPU."""
    return dataclasses.replace(prepared, layer=quantized_module(prepared))


def new_module(prepared: Prepared) -> torch.nn.Module:
    """A `Linear4bit` of the Case's sizes, not quantized yet."""
    from bitsandbytes import nn  # noqa: PLC0415

    case = prepared.case
    module: torch.nn.Module = nn.Linear4bit(
        case.weight.in_features,
        case.weight.out_features,
        bias=prepared.bias is not None,
        compute_dtype=FLOAT_DTYPES[case.activation_dtype],
        quant_type=case.quantization.quant_type.value,
    )
    return module


def quantized_module(prepared: Prepared) -> torch.nn.Module:
    """The same on the device, with the Case's weight and bias."""
    from bitsandbytes import nn  # noqa: PLC0415

    case, module = prepared.case, new_module(prepared)
    module.weight = nn.Params4bit(
        prepared.weight.cpu(),
        requires_grad=False,
        blocksize=case.quantization.blocksize,
        compress_statistics=case.quantization.compress_statistics,
        quant_type=case.quantization.quant_type.value,
        quant_storage=STORAGE_DTYPES[case.quantization.storage],
        module=module,
    )
    moved: torch.nn.Module = module.to(prepared.library.device)
    if prepared.bias is not None:
        moved.bias = torch.nn.Parameter(prepared.bias, requires_grad=False)  # moving it would lay it out anew
    return moved
