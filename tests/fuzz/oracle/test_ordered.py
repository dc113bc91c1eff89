"""Sums in the kernels' own order against a scalar emulation, bit for bit."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import pytest
import torch

from fuzz.oracle.arms import Arm
from fuzz.oracle.operands import Nested, Operands
from fuzz.oracle.ordered import accumulate, finish, operations
from fuzz.oracle.tensor_core import AMPERE, HOPPER, VOLTA, TensorCore
from tests.fuzz.oracle import scalar
from tests.fuzz.oracle.helpers import DTYPES, HALVES, fill, operands, uniform

SUMS = {Arm.SIMT: scalar.simt, Arm.GEMV: scalar.gemv}
TERMS = [64, 96, 1024, 1056, 2080]


def slow(arm: Arm, given: Operands, nested: Nested = Nested.SEPARATE, core: TensorCore = VOLTA) -> list[list[float]]:
    """The same sums by the scalar emulation."""
    dtype = given.activation.dtype
    rounds = arm in SUMS and dtype is not torch.float32
    rounded = scalar.kernel_weight if rounds else scalar.dequantized_weight
    pairs = zip(given.code.tolist(), given.scales[nested].tolist(), strict=True)
    columns = [[rounded(code, scale, dtype) for code, scale in zip(*pair, strict=True)] for pair in pairs]
    rows = given.activation.tolist()
    if arm is Arm.TENSOR_CORE:
        return [[scalar.tensor_core(x, w, dtype, core.terms, core.fraction) for w in columns] for x in rows]
    return [[SUMS[arm](x, w, dtype) for w in columns] for x in rows]


def assert_same(found: torch.Tensor, right: list[list[float]]) -> None:
    """Equal, NaN where NaN is right."""
    assert found.dtype == torch.float32
    wanted = torch.tensor(right, dtype=torch.float32)
    assert found.shape == wanted.shape
    assert bool(((found == wanted) | (found.isnan() & wanted.isnan())).all()), f"{found} is not {wanted}"


@pytest.mark.parametrize("terms", TERMS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("arm", SUMS)
def test_normal_numbers_bit_for_bit(arm: Arm, dtype: torch.dtype, terms: int) -> None:
    given = fill("normal", 2, (2, terms), dtype, terms)
    assert_same(accumulate(arm, given, Nested.SEPARATE), slow(arm, given))


@pytest.mark.parametrize("name", ["one_hot", "cancelling", "integers", "huge", "largest", "tiny"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("arm", SUMS)
def test_every_kind_of_numbers_bit_for_bit(arm: Arm, dtype: torch.dtype, name: str) -> None:
    given = fill(name, 2, (3, 160), dtype, 5)
    found = accumulate(arm, given, Nested.SEPARATE)
    assert_same(found, slow(arm, given))
    if name == "huge" and dtype is torch.float16:
        assert not bool(found.isfinite().any())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("arm", SUMS)
def test_subnormal_float32_numbers_are_flushed_at_every_step(arm: Arm, dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(6)
    sign = torch.randint(0, 2, (3, 96), generator=random) * 2 - 1
    x = (sign * torch.exp2(uniform((3, 96), -70, -60, random))).to(dtype)
    scale = torch.exp2(uniform((2, 96), -68, -60, random))
    given = operands(x, torch.ones(2, 96), scale)
    found = accumulate(arm, given, Nested.SEPARATE)
    assert_same(found, slow(arm, given))
    assert bool((found != 0).any())
    kept = (x.double()[:, None] * scale.to(dtype).double()[None]).sum(-1)
    assert not torch.allclose(found.double(), kept, rtol=1e-5, atol=0.0)


@pytest.mark.parametrize("arm", SUMS)
@pytest.mark.parametrize(
    ("dtype", "exponents"),
    [(torch.float32, (-34, -35, -36, -50, -58)), (torch.bfloat16, (-49, -50, -51, -58, -60))],
)
def test_nothing_is_lost_where_flushing_is_left_out(arm: Arm, dtype: torch.dtype, exponents: tuple[int, ...]) -> None:
    """On both sides of the sizes from which on no sum can be subnormal, with neighbours that cancel down to their last bits."""
    pairs = [(exponent, exponent) for exponent in exponents] + [(0, 2 * exponent) for exponent in exponents]
    for of_x, of_scale in pairs:
        random = torch.Generator().manual_seed(-of_scale)
        half = torch.exp2(uniform((2, 48), of_x, of_x + 1, random)).float()
        x = torch.stack((half, -half), -1).flatten(-2).to(dtype)
        given = operands(x, torch.ones(2, 96), torch.exp2(uniform((2, 96), of_scale, of_scale + 0.01, random)))
        assert_same(accumulate(arm, given, Nested.SEPARATE), slow(arm, given))


def test_the_cost_of_an_emulation_grows_with_its_steps() -> None:
    for dtype in HALVES:
        assert operations(Arm.SIMT, dtype, 1024) == operations(Arm.GEMV, dtype, 1) == 32
        assert operations(Arm.SIMT, dtype, 1025) == 64
        assert operations(Arm.TENSOR_CORE, dtype, 64) == 2 * operations(Arm.TENSOR_CORE, dtype, 32) == 180
    assert operations(Arm.SIMT, torch.float32, 1024) > 10 * operations(Arm.SIMT, torch.float16, 1024)


@pytest.mark.parametrize("arm", SUMS)
def test_the_orders_of_the_two_kernels_differ(arm: Arm) -> None:
    """The lanes are joined from afar in one kernel and from nearby in the other; both are told from ascending order."""
    given = fill("normal", 4, (4, 1056), torch.float32, 8)
    x, weight = given.activation, given.code * given.scales[Nested.SEPARATE]
    ascending = torch.tensor([[sum_in_order(row, column) for column in weight.tolist()] for row in x.tolist()])
    other = Arm.GEMV if arm is Arm.SIMT else Arm.SIMT
    found = accumulate(arm, given, Nested.SEPARATE)
    assert not torch.equal(found, accumulate(other, given, Nested.SEPARATE))
    assert not torch.equal(found, ascending)


def sum_in_order(x: list[float], weight: list[float]) -> float:
    total = 0.0
    for one, other in zip(x, weight, strict=True):
        total = scalar.fused(one, other, total)
    return total


@pytest.mark.parametrize("core", [VOLTA, AMPERE, HOPPER])
@pytest.mark.parametrize("dtype", HALVES)
def test_tensor_cores_multiply_by_weights_rounded_once(dtype: torch.dtype, core: TensorCore) -> None:
    given = fill("normal", 2, (3, 100), dtype, 9)
    found = accumulate(Arm.TENSOR_CORE, given, Nested.SEPARATE, core)
    assert_same(found, slow(Arm.TENSOR_CORE, given, core=core))


@pytest.mark.parametrize("arm", [*SUMS, Arm.TENSOR_CORE])
def test_compressed_scales_are_taken_as_they_were_evaluated(arm: Arm) -> None:
    given = fill("normal", 2, (3, 64), torch.bfloat16, 10)
    scale = given.scales[Nested.SEPARATE]
    given = dataclasses.replace(given, scales={Nested.SEPARATE: scale, Nested.FUSED: scale * 2})
    once, twice = (accumulate(arm, given, nested, VOLTA) for nested in (Nested.SEPARATE, Nested.FUSED))
    assert torch.equal(twice, 2 * once)


@pytest.mark.parametrize("arm", SUMS)
@pytest.mark.parametrize(
    ("first", "second", "expected"), [(math.inf, 1.0, math.inf), (math.inf, -math.inf, math.nan), (math.nan, 1.0, math.nan)]
)
def test_infinities_and_nan_spread(arm: Arm, first: float, second: float, expected: float) -> None:
    for dtype in DTYPES:
        x = torch.ones(1, 96)
        x[0, 3], x[0, 70] = first, second
        given = operands(x.to(dtype), torch.ones(1, 96), torch.ones(1))
        assert_same(accumulate(arm, given, Nested.SEPARATE), [[expected]])


def test_products_of_float16_overflow_although_the_sum_would_not() -> None:
    x = torch.zeros(1, 32).half()
    x[0, :2] = torch.tensor([258.5, -256.0])
    given = operands(x, torch.ones(1, 32), torch.tensor(256.0))
    for arm in SUMS:
        assert bool(accumulate(arm, given, Nested.SEPARATE).isnan().all())
    assert accumulate(Arm.TENSOR_CORE, given, Nested.SEPARATE, HOPPER).tolist() == [[640.0]]


@pytest.mark.parametrize("arm", [Arm.LINEAR, Arm.DEQUANTIZE, Arm.CPU_BF16])
def test_an_order_that_is_not_known_is_refused(arm: Arm) -> None:
    given = fill("normal", 1, (1, 32), torch.float16, 1)
    with pytest.raises(ValueError, match=f"the order of {arm.value} is not known"):
        accumulate(arm, given, Nested.SEPARATE, VOLTA)


def test_a_tensor_core_without_a_model_is_refused() -> None:
    with pytest.raises(ValueError, match="emulated by a model of it"):
        accumulate(Arm.TENSOR_CORE, fill("normal", 1, (1, 32), torch.float16, 1), Nested.SEPARATE)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_bias_is_added_before_the_only_rounding(dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(11)
    total = torch.randn(7, 5, generator=random)
    bias = torch.randn(5, generator=random).to(dtype)
    assert torch.equal(finish(total, None, dtype), total.to(dtype))
    sums = [[scalar.add(a, b) for a, b in zip(row, bias.tolist(), strict=True)] for row in total.tolist()]
    right = [[scalar.nearest(Fraction(value), dtype) for value in row] for row in sums]
    assert finish(total, bias, dtype).tolist() == right
    assert finish(total, bias, dtype).dtype == dtype
    twice = (total.to(dtype).float() + bias.float()).to(dtype)
    assert torch.equal(finish(total, bias, dtype), twice) == (dtype is torch.float32)
