"""The element-wise roundings of each kernel against scalar ones."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from fuzz.oracle.arms import Arm
from fuzz.oracle.emulate import dequantized, products, weights
from fuzz.oracle.operands import Nested, Operands, code_table
from strategies.case import QuantType
from tests.fuzz.oracle import scalar
from tests.fuzz.oracle.helpers import DTYPES, HALVES, operands, uniform


def made(dtype: torch.dtype, quant_type: QuantType, low: float, high: float) -> Operands:
    """Operands of all sixteen codes with many scales."""
    random = torch.Generator().manual_seed(1)
    scale = torch.exp2(uniform((60, 1), low, high, random)).expand(60, 16)
    x = torch.randn(2, 16, generator=random).to(dtype)
    return operands(x, code_table(quant_type).expand(60, 16), scale)


def each(one: torch.Tensor, other: torch.Tensor) -> list[tuple[float, float]]:
    return list(zip(one.flatten().tolist(), other.flatten().tolist(), strict=True))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("quant_type", QuantType)
@pytest.mark.parametrize(("low", "high"), [(-3, 3), (-26, -10), (10, 17)])
def test_weights_of_every_kernel(dtype: torch.dtype, quant_type: QuantType, low: float, high: float) -> None:
    given = made(dtype, quant_type, low, high)
    pairs = each(given.code, given.scales[Nested.SEPARATE])
    once = [scalar.dequantized_weight(code, scale, dtype) for code, scale in pairs]
    thrice = once if dtype is torch.float32 else [scalar.kernel_weight(code, scale, dtype) for code, scale in pairs]
    for arm, right in ((Arm.SIMT, thrice), (Arm.GEMV, thrice), (Arm.TENSOR_CORE, once), (Arm.LINEAR, once)):
        found = weights(arm, given, Nested.SEPARATE)
        assert found.dtype == dtype
        same = (found == torch.tensor(right).to(dtype).reshape(60, 16)) | found.isnan()
        assert bool(same.all())
        assert found.isnan().flatten().tolist() == [value != value for value in right]  # noqa: PLR0124 - NaN
    assert once != thrice or dtype is torch.float32
    assert torch.equal(dequantized(given.code, given.scales[Nested.SEPARATE], dtype), weights(Arm.TENSOR_CORE, given, Nested.SEPARATE))


def test_a_scale_that_float16_does_not_hold_makes_nan_of_the_code_zero() -> None:
    given = operands(torch.ones(1, 2).half(), torch.tensor([[0.0, 1.0]]), torch.tensor(65520.0))
    assert repr(weights(Arm.SIMT, given, Nested.SEPARATE).tolist()) == "[[nan, inf]]"
    assert weights(Arm.TENSOR_CORE, given, Nested.SEPARATE).tolist() == [[0.0, float("inf")]]


def test_dense_weights_pass_through_the_dtype_of_the_quantized_weight() -> None:
    given = dataclasses.replace(made(torch.float32, QuantType.NF4, -3, 3), stored=torch.bfloat16)
    pairs = each(given.code, given.scales[Nested.SEPARATE])
    right = [scalar.dequantized_weight(code, scale, torch.bfloat16) for code, scale in pairs]
    found = weights(Arm.LINEAR, given, Nested.SEPARATE)
    assert found.dtype == torch.float32
    assert found.flatten().tolist() == right
    assert weights(Arm.SIMT, given, Nested.SEPARATE).flatten().tolist() != right


@pytest.mark.parametrize("arm", [Arm.SIMT, Arm.GEMV, Arm.TENSOR_CORE, Arm.LINEAR])
def test_the_asked_for_evaluation_of_scales_is_taken(arm: Arm) -> None:
    given = made(torch.bfloat16, QuantType.NF4, -3, 3)
    scale = given.scales[Nested.SEPARATE]
    given = dataclasses.replace(given, scales={Nested.SEPARATE: scale, Nested.FUSED: 4 * scale})
    assert torch.equal(weights(arm, given, Nested.FUSED), 4 * weights(arm, given, Nested.SEPARATE))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("arm", [Arm.SIMT, Arm.GEMV, Arm.TENSOR_CORE, Arm.LINEAR])
def test_products_are_rounded_by_the_kernels_without_tensor_cores_and_exact_otherwise(arm: Arm, dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(2)
    x = (torch.randn(3, 50, generator=random) * torch.exp2(torch.randint(-14, 9, (3, 50), generator=random))).to(dtype)
    w = (torch.randn(4, 50, generator=random) * torch.exp2(torch.randint(-14, 9, (4, 50), generator=random))).to(dtype)
    found = products(arm, x, w)
    assert found.shape == (3, 4, 50)
    rounds = arm in (Arm.SIMT, Arm.GEMV) and dtype is not torch.float32
    assert found.dtype == (torch.float32 if rounds else torch.float64)
    for row in range(3):
        for column in range(4):
            exact = [one * other for one, other in each(x[row], w[column])]  # in float64, which holds 48 bits
            right = [scalar.multiply(one, other, dtype) for one, other in each(x[row], w[column])] if rounds else exact
            assert found[row, column].tolist() == right
            assert (right != exact) == rounds


@pytest.mark.parametrize("dtype", HALVES)
def test_products_of_16_bits_are_rounded_to_nearest_once(dtype: torch.dtype) -> None:
    """All pairs of significands whose product lies in the middle of two numbers go to the even one."""
    bits = 11 if dtype is torch.float16 else 8
    significands = torch.arange(2 ** (bits - 1), 2**bits, 3 if dtype is torch.bfloat16 else 29)
    x, w = significands.to(dtype)[:, None], significands.to(dtype)[:, None]
    found = products(Arm.SIMT, (x / 2**bits).to(dtype), (w / 2**bits).to(dtype))[..., 0]
    right = [[scalar.multiply(one, other, dtype) for other in (w / 2**bits).flatten().tolist()] for one in (x / 2**bits).flatten().tolist()]
    assert found.tolist() == right
