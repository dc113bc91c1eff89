"""The gradients of `x @ W.T + bias`, as products of which the same bounds hold."""

from __future__ import annotations

import dataclasses

import torch

from fuzz.oracle.reference import DecodedWeight, Product, multiply


def input_gradient(gradient: torch.Tensor, weight: DecodedWeight) -> Product:
    """The gradient of x: `gradient @ W`.

    Args:
        gradient: of the result, shape (*leading, out_features).
        weight: shape (out_features, in_features).
    """
    turned = DecodedWeight(code=weight.code.t(), scale=weight.scale.t(), scale_error=weight.scale_error.t())
    return multiply(gradient, turned, None)


def bias_gradient(gradient: torch.Tensor) -> Product:
    """The gradient of the bias: `gradient` summed over all rows, shape (out_features,)."""
    columns = gradient.reshape(-1, gradient.shape[-1]).t()
    ones = torch.ones(1, columns.shape[-1], dtype=torch.float64, device=gradient.device)
    product = multiply(columns, DecodedWeight(code=ones, scale=ones, scale_error=torch.zeros_like(ones)), None)
    flat = ("value", "magnitude", "code_magnitude", "activation_magnitude", "scale_error")
    return dataclasses.replace(product, **{name: getattr(product, name).flatten() for name in flat})
