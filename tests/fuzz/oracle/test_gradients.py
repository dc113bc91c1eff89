"""Gradients as products: equal to autograd's in float64, within the same bounds."""

from __future__ import annotations

import pytest
import torch

from fuzz.oracle.gradients import bias_gradient, input_gradient
from fuzz.oracle.reference import DecodedWeight

GENERATOR = torch.Generator().manual_seed(7)
CODE, SCALE = torch.randn(5, 7, generator=GENERATOR).double(), torch.rand(5, 7, generator=GENERATOR).double()
WEIGHT = DecodedWeight(code=CODE, scale=SCALE, scale_error=torch.full((5, 7), 2.0**-20, dtype=torch.float64))


@pytest.mark.parametrize("leading", [(), (1,), (3,), (2, 3)])
def test_they_are_those_of_autograd(leading: tuple[int, ...]) -> None:
    gradient = torch.randint(-4, 5, (*leading, 5), generator=GENERATOR).double()
    x = torch.randn(*leading, 7, generator=GENERATOR).double().requires_grad_()
    bias = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    torch.nn.functional.linear(x, WEIGHT.weight, bias).backward(gradient)  # type: ignore[no-untyped-call]
    of_input, of_bias = input_gradient(gradient, WEIGHT), bias_gradient(gradient)
    assert x.grad is not None
    assert bias.grad is not None
    assert torch.allclose(of_input.value, x.grad, rtol=1e-14, atol=1e-14)
    assert torch.equal(of_bias.value, bias.grad)
    assert of_input.terms == 5
    assert of_bias.terms == gradient.shape[:-1].numel()
    assert torch.equal(of_bias.magnitude, gradient.reshape(-1, 5).abs().sum(0))
    assert of_input.scale_error.shape == of_input.value.shape == x.shape
    assert torch.allclose(of_input.scale_error, gradient.abs() @ (CODE.abs() * 2.0**-20))
