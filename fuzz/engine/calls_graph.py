"""The calls that are captured as CUDA graphs and replayed.

Filled after the capture is the activation of a product, and of what is only dequantized the packed weight with its scales.
"""

from __future__ import annotations

import torch

from fuzz.engine.calls import Prepared, gemm_arguments, gemv_arguments, in_view, quantized_module
from fuzz.engine.graphs import replayed


def dequantize_replayed(prepared: Prepared) -> torch.Tensor:
    """`functional.dequantize_4bit`."""
    from bitsandbytes import functional  # noqa: PLC0415

    state = prepared.state
    nested = (state.offset, state.state2.absmax) if state.nested else ()
    return replayed(
        (prepared.packed, state.absmax, *nested),
        lambda: functional.dequantize_4bit(in_view(prepared), prepared.own_state()),
    )


def matmul_replayed(prepared: Prepared) -> torch.Tensor:
    """`matmul_4bit`, with grad if the Case says so."""
    import bitsandbytes  # noqa: PLC0415

    x = prepared.activation_for_autograd()
    return replayed((x,), lambda: bitsandbytes.matmul_4bit(x, in_view(prepared), quant_state=prepared.own_state(), bias=prepared.bias))


def module_replayed(prepared: Prepared) -> torch.Tensor:
    """`nn.Linear4bit`, made beforehand: in training mode with grad, in eval mode without."""
    module = quantized_module(prepared).train(prepared.case.execution.grad)
    x = prepared.activation_for_autograd()
    return replayed((x,), lambda: module(x))


def gemm_replayed(prepared: Prepared) -> torch.Tensor:
    """The op `gemm_4bit`."""
    arguments, named = gemm_arguments(prepared)
    return replayed((prepared.activation,), lambda: torch.ops.bitsandbytes.gemm_4bit.default(*arguments, **named))


def gemv_replayed(prepared: Prepared) -> torch.Tensor:
    """`functional.gemv_4bit`."""
    from bitsandbytes import functional  # noqa: PLC0415

    return replayed(
        (prepared.activation,), lambda: functional.gemv_4bit(prepared.activation, in_view(prepared), state=prepared.own_state())
    )


def gemv_op_replayed(prepared: Prepared) -> torch.Tensor:
    """The op `gemv_4bit`."""
    arguments = gemv_arguments(prepared)
    return replayed((prepared.activation,), lambda: torch.ops.bitsandbytes.gemv_4bit.default(*arguments))
