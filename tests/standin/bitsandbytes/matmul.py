"""`bitsandbytes.matmul_4bit` by the convention of 0.50: the shape in the state tells the layout, not the view."""

from __future__ import annotations

import torch

from . import kernels
from .functional import quantized
from .planted import Call, disturb
from .state import QuantState
from .writing import written


def product(activation: torch.Tensor, packed: torch.Tensor, state: QuantState, bias: torch.Tensor | None) -> torch.Tensor:
    """`x @ W.T + bias` for a weight [out_features, in_features], `x @ W + bias` for [in_features, out_features].

    A square weight is taken as [out_features, in_features]. Autograd sees plain PyTorch, with the weight as a constant.

    Raises:
        ValueError: the activation fits neither layout.
        TypeError: it is not of a floating dtype.
    """
    weight = kernels.decode(quantized(packed, state))
    size = activation.shape[-1]
    if size != state.shape[1] and size == state.shape[0]:
        weight = weight.t()
    kernels.check_length(activation, weight.shape)
    return kernels.multiply(activation, weight, bias)


def matmul_4bit(
    A: torch.Tensor,  # noqa: N803 - upstream's names
    B: torch.Tensor,  # noqa: N803
    quant_state: QuantState,
    out: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """The product of an activation and a packed weight in any view."""
    call = Call(quant_state.shape, quant_state.blocksize, quant_state.quant_type, quant_state.nested, A, bias)
    result = disturb("matmul_4bit", call, product(A, B, quant_state, bias))
    return written(result, out)
