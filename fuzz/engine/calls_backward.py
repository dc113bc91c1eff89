"""The calls that end in a gradient."""

from __future__ import annotations

import torch

from fuzz.engine.calls import Prepared, in_view, quantized_module
from fuzz.engine.tensors import gradient


class MissingGradientError(RuntimeError):
    """A tensor that requires grad got none."""


def input_gradient(prepared: Prepared) -> torch.Tensor:
    """The gradient of the activation through `matmul_4bit`."""
    x = _leaf(prepared.activation)
    _backward(prepared, _product(prepared, x, prepared.bias))
    return _grad(x)


def bias_gradient(prepared: Prepared) -> torch.Tensor:
    """The gradient of the bias through `matmul_4bit`.

    Raises:
        ValueError: the Case has no bias.
    """
    if prepared.bias is None:
        raise ValueError("a Case without a bias has no gradient of one")
    bias = _leaf(prepared.bias)
    _backward(prepared, _product(prepared, prepared.activation, bias))
    return _grad(bias)


def module_gradient(prepared: Prepared) -> torch.Tensor:
    """The gradient of the activation through `nn.Linear4bit` in training mode."""
    x, module = _leaf(prepared.activation), quantized_module(prepared).train()
    with torch.enable_grad():
        result = module(x)
    _backward(prepared, result)
    return _grad(x)


def _product(prepared: Prepared, x: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    import bitsandbytes  # noqa: PLC0415

    with torch.enable_grad():
        result: torch.Tensor = bitsandbytes.matmul_4bit(x, in_view(prepared), quant_state=prepared.own_state(), bias=bias)
    return result


def _leaf(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().requires_grad_()


def _backward(prepared: Prepared, result: torch.Tensor) -> None:
    result.backward(gradient(prepared.case).to(result.device))  # type: ignore[no-untyped-call]


def _grad(leaf: torch.Tensor) -> torch.Tensor:
    if leaf.grad is None:
        raise MissingGradientError("a tensor that requires grad got no gradient")
    return leaf.grad
