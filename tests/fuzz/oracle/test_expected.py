"""What an output may be: right ones always lie inside, wrong ones outside, and where the order is known there is one."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from fuzz.oracle import expected as module
from fuzz.oracle.arms import Arm
from fuzz.oracle.expected import Arithmetic, Expected, any_of, expected
from fuzz.oracle.operands import Nested, Operands
from fuzz.oracle.ordered import accumulate, finish
from fuzz.oracle.reference import DecodedWeight
from fuzz.oracle.tensor_core import AMPERE, HOPPER, VOLTA
from tests.fuzz.engine import kernels
from tests.fuzz.engine.helpers import Quantized
from tests.fuzz.engine.kernels import How
from tests.fuzz.oracle.helpers import DTYPES, FILLS, HALVES, fill, operands

TERMS = [64, 100, 32, 1030]
ORDERED = [
    *((Arithmetic(arm=arm), dtype) for arm in (Arm.SIMT, Arm.GEMV) for dtype in DTYPES),
    *((Arithmetic(arm=Arm.TENSOR_CORE, core=core), dtype) for core in (VOLTA, AMPERE, HOPPER) for dtype in HALVES),
]
"""Every arithmetic whose order is known, with every dtype that it takes."""
EVERY = [*ORDERED, *((Arithmetic(arm=Arm.LINEAR), dtype) for dtype in DTYPES)]
NAMES = list(FILLS)


def given_operands(name: str, terms: int, dtype: torch.dtype, seed: int, *, outputs: int = 6) -> Operands:
    """Random operands; every other seed comes with a bias, of the size of the sums in half of the cases."""
    made = fill(name, 3, (outputs, terms), dtype, seed)
    if seed % 2 == 0:
        return made
    random = torch.Generator().manual_seed(seed)
    return dataclasses.replace(made, bias=(torch.randn(outputs, generator=random) * (40.0 if seed % 4 == 1 else 1e-3)).to(dtype))


def own(arithmetic: Arithmetic, made: Operands) -> torch.Tensor:
    """The output in the kernel's own order, which `test_ordered` compares with a scalar emulation."""
    total = accumulate(arithmetic.arm, made, arithmetic.nested, arithmetic.core)
    if not arithmetic.late_bias or made.bias is None:
        return finish(total, made.bias, made.activation.dtype)
    return (total.to(made.activation.dtype).float() + made.bias.float()).to(made.activation.dtype)


def some_order(made: Operands, seed: int) -> torch.Tensor:
    """The output of a dense product: any order of sums, by multiply-adds or on the weakest tensor core, any place of the bias."""
    scale = made.scales[Nested.SEPARATE]
    weight = Quantized(made.code, scale, DecodedWeight(made.code.double(), scale.double(), torch.zeros_like(scale.double())))
    how = How(torch.Generator().manual_seed(seed), fused=seed % 8 < 4, flush=seed % 3 == 0, late_bias=seed % 16 < 8)
    dtype = made.activation.dtype
    kernel = kernels.tensor_core if seed % 2 and dtype is not torch.float32 else kernels.dense
    return kernel(made.activation, weight, made.bias, made.stored, how).to(dtype)


def right(arithmetic: Arithmetic, made: Operands, seed: int = 0) -> torch.Tensor:
    return some_order(made, seed) if arithmetic.arm is Arm.LINEAR else own(arithmetic, made)


def assert_holds(allowed: Expected, output: torch.Tensor) -> None:
    held = allowed.holds(output)
    if not bool(held.all()):
        place = int((~held).flatten().int().argmax())
        low, high, got = (part.flatten()[place].item() for part in (allowed.low, allowed.high, output))
        pytest.fail(f"{got} is not from {low} to {high} ({int((~held).sum())} of {held.numel()})")


@pytest.mark.parametrize(("arithmetic", "dtype"), EVERY)
@pytest.mark.parametrize("name", NAMES)
def test_right_outputs_lie_inside(arithmetic: Arithmetic, dtype: torch.dtype, name: str) -> None:
    for seed in range(6):
        made = given_operands(name, TERMS[seed % 4], dtype, seed)
        allowed = expected(arithmetic, made)
        assert allowed.low.dtype == allowed.high.dtype == dtype
        for order in range(4 if arithmetic.arm is Arm.LINEAR and made.activation.shape[1] <= 64 else 1):
            assert_holds(allowed, right(arithmetic, made, 8 * order + seed))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("stored", DTYPES)
def test_dense_products_of_weights_that_had_another_dtype_lie_inside(dtype: torch.dtype, stored: torch.dtype) -> None:
    arithmetic = Arithmetic(arm=Arm.LINEAR)
    for seed in range(8):
        made = dataclasses.replace(given_operands("normal", 64, dtype, seed), stored=stored)
        assert_holds(expected(arithmetic, made), some_order(made, seed))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dense_products_that_begin_with_the_bias_lie_inside(dtype: torch.dtype) -> None:
    """A BLAS may add to an output that already holds the bias: then the bias is a term of the sum like any other."""
    for seed in range(1, 24, 2):
        made = given_operands("normal", 64, dtype, seed)
        assert made.bias is not None
        one = torch.ones(3, 1).to(dtype)
        scale = made.scales[Nested.SEPARATE]
        longer = operands(
            torch.cat((one, made.activation), 1),
            torch.cat((made.bias.float()[:, None], made.code), 1),
            torch.cat((torch.ones(6, 1), scale), 1),
        )
        assert_holds(expected(Arithmetic(arm=Arm.LINEAR), made), some_order(longer, seed))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_late_bias_of_gemv_lies_inside_and_is_told_from_an_early_one(dtype: torch.dtype) -> None:
    """`matmul_4bit` of releases before 0.50 adds the bias to what gemv_4bit returned."""
    differ = 0
    for name in NAMES:
        for seed in (1, 3, 5, 7):
            made = given_operands(name, 64, dtype, seed)
            early, late = (Arithmetic(arm=Arm.GEMV, late_bias=late_bias) for late_bias in (False, True))
            output = own(late, made)
            assert_holds(expected(late, made), output)
            assert_holds(expected(dataclasses.replace(late, ordered=True), made), output)
            differ += int((~expected(dataclasses.replace(early, ordered=True), made).holds(output)).sum())
    assert (differ > 0) == (dtype is not torch.float32)


@pytest.mark.parametrize(("arithmetic", "dtype"), ORDERED)
@pytest.mark.parametrize("name", NAMES)
def test_where_the_order_is_known_there_is_one_output(arithmetic: Arithmetic, dtype: torch.dtype, name: str) -> None:
    for seed in range(3):
        made = given_operands(name, TERMS[seed], dtype, seed)
        allowed = expected(dataclasses.replace(arithmetic, ordered=True), made)
        output = own(arithmetic, made)
        for end in (allowed.low, allowed.high):
            assert bool(((end == output) | (end.isnan() & output.isnan())).all())
        assert_holds(allowed, output)
        assert not bool(allowed.error.any())
        other = torch.nextafter(output, torch.full_like(output, math.inf))
        assert not bool(allowed.holds(other)[output.isfinite()].any())


@pytest.mark.parametrize(("arithmetic", "dtype"), EVERY)
@pytest.mark.parametrize("name", ["normal", "cancelling", "tiny"])
def test_only_the_one_wrong_output_lies_outside(arithmetic: Arithmetic, dtype: torch.dtype, name: str) -> None:
    for seed in range(4):
        made = given_operands(name, 100, dtype, seed)
        allowed, output = expected(arithmetic, made), right(arithmetic, made, seed)
        for end, direction in ((allowed.high, math.inf), (allowed.low, -math.inf)):
            wrong = output.clone()
            wrong[1, 4] = torch.nextafter(end, torch.full_like(end, direction))[1, 4]
            place = torch.zeros_like(wrong, dtype=torch.bool)
            place[1, 4] = True
            assert torch.equal(~allowed.holds(wrong), place)


@pytest.mark.parametrize(("arithmetic", "dtype"), EVERY)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_lies_outside_where_the_sum_is(arithmetic: Arithmetic, dtype: torch.dtype, value: float) -> None:
    made = given_operands("normal", 64, dtype, 0)
    assert not bool(expected(arithmetic, made).holds(torch.full((3, 6), value).to(dtype)).any())


@pytest.mark.parametrize(("arithmetic", "dtype"), EVERY)
def test_a_block_with_its_neighbours_scale_lies_outside(arithmetic: Arithmetic, dtype: torch.dtype) -> None:
    """The outputs of that row of the weight are seen, in most rows of the activation, and no others."""
    seen = 0
    for seed in range(4):
        made = fill("normal", 4, (6, 128), dtype, seed)
        scale = made.scales[Nested.SEPARATE].clone()
        scale[3, 32:64] = scale[3, 64:96]
        wrong = right(arithmetic, dataclasses.replace(made, scales=dict.fromkeys(Nested, scale)), seed)
        outside = ~expected(arithmetic, made).holds(wrong)
        assert not bool(outside[:, [0, 1, 2, 4, 5]].any())
        seen += int(outside[:, 3].sum())
    assert seen >= 14


@pytest.mark.parametrize(("arithmetic", "dtype"), [item for item in EVERY if item[1] is not torch.float32])
def test_a_code_that_is_one_off_lies_outside_in_float16_and_mostly_in_bfloat16(arithmetic: Arithmetic, dtype: torch.dtype) -> None:
    outside = 0
    for seed in range(4):
        made = fill("normal", 6, (6, 64), dtype, 2 * seed)
        code = made.code.clone()
        code[2, 17] = 0.4407098293304443 if float(code[2, 17]) < 0.4 else 0.33791524171829224
        wrong = right(arithmetic, dataclasses.replace(made, code=code), seed)
        outside += int((~expected(arithmetic, made).holds(wrong))[:, 2].sum())
    assert outside >= (20 if dtype is torch.float16 else 12)


@pytest.mark.parametrize(("arithmetic", "dtype"), EVERY)
def test_integers_have_one_right_output_on_every_arm_and_it_is_the_exact_one(arithmetic: Arithmetic, dtype: torch.dtype) -> None:
    for seed in range(4):
        made = fill("integers", 3, (6, TERMS[seed]), dtype, seed)
        allowed = expected(arithmetic, made)
        exact = made.activation.double() @ (made.code.double() * made.scales[Nested.SEPARATE].double()).t()
        assert not bool(allowed.error.any())
        assert torch.equal(allowed.low, allowed.high)
        assert torch.equal(allowed.low.double(), exact.to(torch.float32).to(dtype).double())
        assert torch.equal(allowed.value, exact)


@pytest.mark.parametrize(("arithmetic", "dtype"), [*EVERY, *((dataclasses.replace(one, ordered=True), dtype) for one, dtype in ORDERED)])
def test_parts_give_what_the_whole_gives(arithmetic: Arithmetic, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    made = given_operands("largest", 100, dtype, 1, outputs=13)
    whole = expected(arithmetic, made)
    for chunk in (1, 700, 1300):
        monkeypatch.setattr(module, "CHUNK", {"cpu": chunk})
        parts = expected(arithmetic, made)
        for item in dataclasses.fields(Expected):
            one, other = getattr(whole, item.name), getattr(parts, item.name)
            assert one.shape == other.shape == (3, 13)
            one, other = (part.double().nan_to_num(nan=-1.5) for part in (one, other))
            if arithmetic.arm is Arm.LINEAR:  # a matrix product in float64, whose order depends on the shape
                assert torch.allclose(one, other, rtol=2.0**-23 if item.name in {"low", "high"} else 1e-13)
            else:
                assert torch.equal(one, other)


def test_parts_are_as_small_as_they_are_asked_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    original = module._expected

    def watch(arithmetic: Arithmetic, part: Operands) -> Expected:
        sizes.append(part.activation.shape[0] * part.code.numel())
        return original(arithmetic, part)

    monkeypatch.setattr(module, "_expected", watch)
    monkeypatch.setattr(module, "CHUNK", {"cpu": 1000})
    expected(Arithmetic(arm=Arm.SIMT), given_operands("normal", 100, torch.float16, 0, outputs=13))
    assert sizes == [900, 900, 900, 900, 300]


OVERFLOWING = operands(torch.tensor([[258.5, -256.0, 0.0], [258.5, 1.0, 1.0]]).half(), torch.ones(1, 3), torch.tensor(256.0))


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("arm", [Arm.SIMT, Arm.GEMV])
def test_products_of_float16_that_overflow_have_to(arm: Arm, *, ordered: bool) -> None:
    allowed = expected(Arithmetic(arm=arm, ordered=ordered), OVERFLOWING)
    assert allowed.holds(torch.tensor([[math.nan], [math.inf]]).half()).tolist() == [[True], [True]]
    for first, second in ((640.0, 60000.0), (math.inf, math.nan), (-math.inf, -math.inf), (0.0, 65504.0)):
        assert allowed.holds(torch.tensor([[first], [second]]).half()).tolist() == [[False], [False]]


def test_on_a_tensor_core_the_same_products_must_not_overflow() -> None:
    allowed = expected(Arithmetic(arm=Arm.TENSOR_CORE, core=HOPPER), OVERFLOWING)
    assert allowed.low.tolist() == allowed.high.tolist() == [[640.0], [math.inf]]
    assert allowed.holds(torch.tensor([[math.nan], [65504.0]]).half()).tolist() == [[False], [False]]


def test_of_dense_products_that_are_not_finite_nothing_is_said() -> None:
    made = operands(torch.tensor([[math.inf, -1.0], [1.0, 1.0]]).half(), torch.ones(1, 2), torch.ones(1))
    allowed = expected(Arithmetic(arm=Arm.LINEAR), made)
    for anything in (math.nan, math.inf, -math.inf, 0.0, 3.0):
        assert allowed.holds(torch.tensor([[anything], [2.0]]).half()).tolist() == [[True], [True]]
    assert allowed.unknown.tolist() == [[True], [False]]


@pytest.mark.parametrize("arm", [Arm.SIMT, Arm.GEMV, Arm.TENSOR_CORE, Arm.LINEAR])
def test_where_a_partial_sum_may_overflow_nothing_is_said(arm: Arm) -> None:
    made = operands(torch.tensor([[1e19, -1e19], [1.0, 1.0]]).bfloat16(), torch.ones(1, 2), torch.tensor(1e19))
    allowed = expected(Arithmetic(arm=arm), made)
    assert allowed.unknown.tolist() == [[True], [False]]
    for anything in (math.nan, math.inf, -math.inf, 0.0):
        assert allowed.holds(torch.full((2, 1), anything).bfloat16()).tolist() == [[True], [False]]


@pytest.mark.parametrize(("arithmetic", "dtype"), [item for item in ORDERED if item[1] is not torch.float16])
def test_a_sum_below_the_normal_range_of_float32_is_flushed(arithmetic: Arithmetic, dtype: torch.dtype) -> None:
    x = torch.zeros(2, 32)
    x[0, 3], x[1, 3] = 2.0**-70, 2.0**-66
    made = operands(x.to(dtype), torch.ones(1, 32), torch.tensor(2.0**-60))
    allowed = expected(dataclasses.replace(arithmetic, ordered=True), made)
    assert allowed.low.tolist() == allowed.high.tolist() == [[0.0], [2.0**-126]]
    assert allowed.holds(torch.tensor([[2.0**-130], [0.0]]).to(dtype)).tolist() == [[False], [False]]
    interval = expected(dataclasses.replace(arithmetic, ordered=False), made)
    assert interval.holds(torch.tensor([[0.0], [2.0**-126]]).to(dtype)).all()
    assert not interval.holds(torch.tensor([[2.0**-110], [2.0**-110]]).to(dtype)).any()


def test_minus_zero_is_zero() -> None:
    made = operands(torch.zeros(1, 32).half(), torch.ones(1, 32), torch.ones(1))
    for arithmetic, _ in ORDERED:
        for ordered in (False, True):
            assert bool(expected(dataclasses.replace(arithmetic, ordered=ordered), made).holds(torch.tensor([[-0.0]]).half()))


@pytest.mark.parametrize("arm", [Arm.SIMT, Arm.GEMV, Arm.TENSOR_CORE, Arm.LINEAR])
def test_either_way_to_evaluate_compressed_scales_is_right_if_both_are_allowed(arm: Arm) -> None:
    made = fill("normal", 2, (4, 64), torch.bfloat16, 3)
    scale = made.scales[Nested.SEPARATE]
    made = dataclasses.replace(made, scales={Nested.SEPARATE: scale, Nested.FUSED: scale * 1.25})
    both = [Arithmetic(arm=arm, nested=nested) for nested in Nested]
    plain = [dataclasses.replace(made, scales=dict.fromkeys(Nested, made.scales[choice.nested])) for choice in both]
    outputs = [right(choice, alone) for choice, alone in zip(both, plain, strict=True)]
    for choice, output in zip(both, outputs, strict=True):
        assert bool(any_of([expected(choice, made) for choice in both], output).all())
        assert_holds(expected(choice, made), output)
        other = next(one for one in both if one is not choice)
        assert not bool(any_of([expected(other, made)], output).all())
    mixed = torch.where(torch.arange(4) % 2 == 0, outputs[0], outputs[1])
    assert bool(any_of([expected(choice, made) for choice in both], mixed).all())


@pytest.mark.parametrize("dtype", HALVES)
def test_the_interval_is_narrow(dtype: torch.dtype) -> None:
    """Most outputs of ordinary data have one right value, two at most."""
    for arithmetic in (Arithmetic(arm=Arm.SIMT), Arithmetic(arm=Arm.TENSOR_CORE, core=HOPPER)):
        allowed = [expected(arithmetic, fill("normal", 8, (8, 256), dtype, seed)) for seed in range(4)]
        same = torch.cat([(one.low == one.high).flatten() for one in allowed])
        assert float(same.double().mean()) > 0.9
        following = torch.cat([torch.nextafter(one.low, torch.full_like(one.low, math.inf)).flatten() for one in allowed])
        high = torch.cat([one.high.flatten() for one in allowed])
        assert float((following >= high).double().mean()) > 0.98
