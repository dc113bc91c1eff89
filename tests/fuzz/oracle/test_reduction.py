"""What is left of a sum once its terms are emulated: its exact value, and a bound that every kernel's order keeps to."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fuzz.oracle import reduction
from fuzz.oracle.arms import Arm
from fuzz.oracle.emulate import products, weights
from fuzz.oracle.operands import Nested, Operands
from fuzz.oracle.ordered import accumulate
from fuzz.oracle.reduction import EXACT_BITS, LARGEST, Sums
from fuzz.oracle.tensor_core import AMPERE, HOPPER, VOLTA, TensorCore
from tests.fuzz.oracle.helpers import DTYPES, FILLS, HALVES, fill, operands

CORES = [VOLTA, AMPERE, HOPPER]
ORDERED = [
    *((arm, dtype, VOLTA) for arm in (Arm.SIMT, Arm.GEMV) for dtype in DTYPES),
    *((Arm.TENSOR_CORE, dtype, core) for dtype in HALVES for core in CORES),
]
"""Every kernel whose order is known, with every dtype that it takes."""
TERMS = [1, 2, 31, 130, 1100]


def sums_of(arm: Arm, given_operands: Operands, core: TensorCore = VOLTA) -> Sums:
    return reduction.sums(arm, given_operands, Nested.SEPARATE, core)


def off_by(found: Sums, total: torch.Tensor) -> torch.Tensor:
    """How far a kernel's float32 sum is from the exact one; 0 where both are the same infinity or NaN."""
    same = (found.value == total.double()) | (found.value.isnan() & total.isnan())
    return torch.where(same, 0.0, (found.value - total.double()).abs())


@pytest.mark.parametrize(("arm", "dtype", "core"), ORDERED)
@pytest.mark.parametrize("name", FILLS)
def test_the_kernels_own_order_keeps_to_the_bound(arm: Arm, dtype: torch.dtype, core: TensorCore, name: str) -> None:
    for seed, terms in enumerate(TERMS):
        if dtype is torch.float32 and terms == 1:
            continue  # `test_one_term_alone_is_rounded_in_float32`
        operands_ = fill(name, 3, (5, terms), dtype, seed)
        found = sums_of(arm, operands_, core)
        total = accumulate(arm, operands_, Nested.SEPARATE, core)
        assert bool(found.known.all())
        assert bool((off_by(found, total) <= torch.where(found.value.isfinite(), found.error, 0.0)).all()), f"seed {seed}"


@pytest.mark.parametrize("arm", [Arm.SIMT, Arm.GEMV, Arm.TENSOR_CORE, Arm.LINEAR])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_value_is_the_sum_of_the_emulated_terms(arm: Arm, dtype: torch.dtype) -> None:
    operands_ = fill("normal", 2, (3, 77), dtype, 3)
    found = sums_of(arm, operands_)
    terms = products(arm, operands_.activation, weights(arm, operands_, Nested.SEPARATE)).tolist()
    for row in range(2):
        for column in range(3):
            exact = [Fraction(term) for term in terms[row][column]]
            slack = 77 * Fraction(2) ** -53 * sum(map(abs, exact))
            assert abs(Fraction(float(found.value[row, column])) - sum(exact)) <= slack
            assert slack < Fraction(float(found.error[row, column])) < Fraction(2) ** -10 * sum(map(abs, exact))


@pytest.mark.parametrize(("arm", "dtype", "core"), [*ORDERED, *((Arm.LINEAR, dtype, VOLTA) for dtype in DTYPES)])
def test_integers_leave_no_error(arm: Arm, dtype: torch.dtype, core: TensorCore) -> None:
    for terms in (1, 64, 1100):
        operands_ = fill("integers", 3, (5, terms), dtype, terms)
        found = sums_of(arm, operands_, core)
        assert not bool(found.error.any())
        if arm is not Arm.LINEAR:
            assert torch.equal(accumulate(arm, operands_, Nested.SEPARATE, core).double(), found.value)


@pytest.mark.parametrize("arm", [Arm.SIMT, Arm.GEMV, Arm.TENSOR_CORE, Arm.LINEAR])
@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_are_exact_up_to_22_bits_and_are_not_called_so_beyond(arm: Arm, dtype: torch.dtype) -> None:
    """2**-12 beside 2**9 makes 22 bits, beside 2**10 one more."""
    assert EXACT_BITS == 22
    x = torch.tensor([[2.0**5, 2.0**-6]]).to(dtype)
    within, beyond = (sums_of(arm, operands(x, torch.ones(1, 2), torch.tensor([[scale, 2.0**-6]]))) for scale in (2.0**4, 2.0**5))
    assert float(within.value) == 2.0**9 + 2.0**-12
    assert float(within.error) == 0
    assert float(beyond.error) > 0


@pytest.mark.parametrize(("arm", "dtype", "core"), [item for item in ORDERED if item[1] is not torch.float32])
def test_one_term_alone_is_exact(arm: Arm, dtype: torch.dtype, core: TensorCore) -> None:
    _one_term_alone(arm, dtype, core)


@pytest.mark.parametrize("arm", [Arm.SIMT, Arm.GEMV])
def test_one_term_alone_is_rounded_in_float32(arm: Arm) -> None:
    _one_term_alone(arm, torch.float32, VOLTA)


def _one_term_alone(arm: Arm, dtype: torch.dtype, core: TensorCore) -> None:
    x = torch.zeros(1, 64).to(dtype)
    x[0, 5] = 1.1
    operands_ = operands(x, torch.full((1, 64), 0.7229568362236023), torch.tensor(1.3))
    found = sums_of(arm, operands_, core)
    assert bool((off_by(found, accumulate(arm, operands_, Nested.SEPARATE, core)) <= found.error).all())
    assert float(found.error) <= 2.0**-23


@pytest.mark.parametrize("core", [AMPERE, HOPPER])
def test_a_product_of_a_subnormal_number_hides_more_than_its_size_says(core: TensorCore) -> None:
    """2**-24 has the exponent field -14: beside it, addends are cut off 2**10 times higher than beside a normal 2**-24."""
    x = torch.tensor([[2.0**-24, 2.0**-4 * (1 + 2.0**-9 + 2.0**-10)]]).half()
    operands_ = operands(x, torch.ones(1, 2), torch.tensor([[2.0**15, 2.0**-5 * (1 + 2.0**-10)]]))
    found = sums_of(Arm.TENSOR_CORE, operands_, core)
    total = accumulate(Arm.TENSOR_CORE, operands_, Nested.SEPARATE, core)
    assert float(off_by(found, total)) <= float(found.error)


@pytest.mark.parametrize("arm", [Arm.SIMT, Arm.GEMV])
@pytest.mark.parametrize("dtype", DTYPES)
def test_additions_that_all_lose_as_much_as_they_can_use_up_most_of_the_bound(arm: Arm, dtype: torch.dtype) -> None:
    """Not only sound: each lane begins with a large number and then loses half a unit in its last place at every addition."""
    paired = arm is Arm.SIMT and dtype is not torch.float32
    x = torch.full((1, 1024), 2.0**-24)
    x[:, ::32] = 2.0 if paired else 1.0
    operands_ = operands(x.to(dtype), torch.ones(1, 1024), torch.ones(1))
    found = sums_of(arm, operands_)
    used = float(off_by(found, accumulate(arm, operands_, Nested.SEPARATE)) / found.error)
    # The order within eight of the fused float32 kernel is allowed for by their number.
    lowest = 0.1 if (arm, dtype) == (Arm.SIMT, torch.float32) else 0.65 if paired else 0.8
    assert lowest < used <= 1


def test_additions_of_lanes_are_part_of_the_bound() -> None:
    """Each lane holds one number, its last: what is lost is lost between the lanes, and is more than V times their sum."""
    random = torch.Generator().manual_seed(1)
    lost, bounds, sizes = [], [], []
    for _ in range(300):
        x = torch.zeros(1, 1024)
        x[:, 31::32] = 1 + torch.rand(1, 32, generator=random)
        operands_ = operands(x, torch.ones(1, 1024), torch.ones(1))
        found = sums_of(Arm.GEMV, operands_)
        lost.append(float(off_by(found, accumulate(Arm.GEMV, operands_, Nested.SEPARATE))))
        bounds.append(float(found.error))
        sizes.append(float(x.double().sum()))
    assert all(one <= bound for one, bound in zip(lost, bounds, strict=True))
    assert max(one / (2.0**-24 * size) for one, size in zip(lost, sizes, strict=True)) > 1.05


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("dtype", HALVES)
def test_what_a_tensor_core_cuts_off_uses_up_much_of_the_bound(core: TensorCore, dtype: torch.dtype) -> None:
    """Products 1 + 2**-4 + 15 * 2**-14 beside 2**13, which leaves places down to 2**-10, 2**-11 or 2**-12."""
    x = torch.full((1, 1024), 1 + 3 * 2.0**-7).to(dtype)
    x[0, 0] = 2.0**13
    operands_ = operands(x, torch.ones(1, 1024), torch.tensor(1 + 5 * 2.0**-7))
    found = sums_of(Arm.TENSOR_CORE, operands_, core)
    assert 0.5 < float(off_by(found, accumulate(Arm.TENSOR_CORE, operands_, Nested.SEPARATE, core)) / found.error) <= 1


def test_the_cut_of_a_tensor_cores_result_is_part_of_the_bound() -> None:
    """15 addends lose almost 2**-25 each, and the result 3 * 2**-25: more than the 17 * 2**-25 of addends alone."""
    x = torch.full((1, 16), (2 - 2.0**-10) * 2.0**-13).half()
    x[0, 0] = 1.0
    scale = torch.full((1, 16), 2.0**-12)
    scale[0, 0] = 1.0
    operands_ = operands(x, torch.ones(1, 16), scale)
    found = sums_of(Arm.TENSOR_CORE, operands_, HOPPER)
    total = accumulate(Arm.TENSOR_CORE, operands_, Nested.SEPARATE, HOPPER)
    assert float(total) == 1 + 3 * 2.0**-23
    assert 17.9 * 2.0**-25 < float(off_by(found, total)) <= float(found.error) < 22 * 2.0**-25


@pytest.mark.parametrize(("arm", "dtype", "core"), ORDERED)
def test_infinities_and_nan_are_values_and_are_known(arm: Arm, dtype: torch.dtype, core: TensorCore) -> None:
    x = torch.ones(4, 96)
    x[0, 3], x[1, 3], x[2, 3], x[3, 70] = math.inf, -math.inf, math.nan, math.inf
    x[3, 4] = -math.inf
    operands_ = operands(x.to(dtype), torch.ones(1, 96), torch.ones(1))
    found = sums_of(arm, operands_, core)
    assert [repr(value) for value in found.value[:, 0].tolist()] == ["inf", "-inf", "nan", "nan"]
    assert bool(found.known.all())


@pytest.mark.parametrize("arm", [Arm.SIMT, Arm.GEMV, Arm.TENSOR_CORE, Arm.LINEAR])
def test_where_a_partial_sum_may_overflow_nothing_is_known(arm: Arm) -> None:
    x = torch.tensor([[1e19, -1e19], [1e18, -1e18]]).bfloat16()
    found = sums_of(arm, operands(x, torch.ones(1, 2), torch.tensor(1e19)))
    assert found.known.tolist() == [[False], [True]]
    assert 1e19 * 1e19 * 2 > LARGEST > 1e18 * 1e19 * 2


@pytest.mark.parametrize("arm", [Arm.SIMT, Arm.GEMV])
def test_beside_an_infinite_term_a_partial_sum_may_overflow_too(arm: Arm) -> None:
    """3e38 + 3e38 is infinite in float32, -2 * 3e38 in bfloat16: the kernel's sum is NaN, and so it must not be called -inf."""
    x = torch.zeros(1, 32).bfloat16()
    x[0, 0], x[0, 1], x[0, 8] = 3e38, 3e38, -3e38
    scale = torch.ones(1, 32)
    scale[0, 8] = 2.0
    operands_ = operands(x, torch.ones(1, 32), scale)
    assert bool(accumulate(arm, operands_, Nested.SEPARATE).isnan())
    assert not bool(sums_of(arm, operands_).known)


@pytest.mark.parametrize("arm", [Arm.SIMT, Arm.GEMV])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_sums_of_terms_that_are_flushed_are_not_exact(arm: Arm, dtype: torch.dtype) -> None:
    operands_ = operands(torch.full((1, 64), 2.0**-66).to(dtype), torch.ones(1, 64), torch.tensor(2.0**-64))
    found = sums_of(arm, operands_)
    assert float(off_by(found, accumulate(arm, operands_, Nested.SEPARATE))) <= float(found.error)


@pytest.mark.parametrize("arm", [Arm.DEQUANTIZE, Arm.CPU_BF16])
def test_an_arm_without_an_emulation_is_refused(arm: Arm) -> None:
    with pytest.raises(ValueError, match=f"{arm.value} has no emulation"):
        sums_of(arm, fill("normal", 1, (1, 32), torch.float16, 1))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=6))
def test_the_quantum_is_the_largest_power_of_two_that_divides_all(values: list[float]) -> None:
    quantum = float(reduction._quantum(torch.tensor([values])))
    if not any(values):
        assert quantum == math.inf
        return
    assert all((Fraction(value) / Fraction(quantum)).denominator == 1 for value in values)
    assert any((Fraction(value) / (2 * Fraction(quantum))).denominator != 1 for value in values)
    assert math.frexp(quantum)[0] == 0.5
