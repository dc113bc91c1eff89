"""The bounds: simulated kernels always lie inside, planted faults outside."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

from fuzz.engine.references import product_of_weight
from fuzz.oracle.arms import Arm
from fuzz.oracle.bounds import Interval, dequantize_model, error_model, interval, narrowest, triton_dequantize_model
from fuzz.oracle.model import ErrorModel
from fuzz.oracle.reference import DecodedWeight, Product, multiply
from strategies.case import Case, QuantType, Weight
from tests.fuzz.engine import kernels
from tests.fuzz.engine.helpers import Quantized, quantized
from tests.fuzz.engine.kernels import How

DTYPES = [torch.float32, torch.float16, torch.bfloat16]
HALVES = [torch.float16, torch.bfloat16]
PRODUCTS = [Arm.SIMT, Arm.GEMV, Arm.TENSOR_CORE, Arm.LINEAR, Arm.CPU_BF16, Arm.TRITON_LINEAR]
PAIRS = [(arm, dtype) for arm in PRODUCTS for dtype in DTYPES if arm is not Arm.TENSOR_CORE or dtype is not torch.float32]
"""Every kernel of a product with every dtype that it takes."""
ROWS, OUTPUTS = 3, 8
TERMS = [1, 2, 5, 33, 64, 130, 1024, 1500]
SHORTER = [1, 2, 3, 5, 33, 64, 150]


@dataclass(frozen=True)
class Input:
    """What a kernel gets."""

    x: torch.Tensor
    weight: Quantized
    bias: torch.Tensor | None

    @property
    def product(self) -> Product:
        return multiply(self.x, self.weight.decoded, self.bias)


def _uniform(shape: tuple[int, ...], low: float, high: float, random: torch.Generator) -> torch.Tensor:
    return low + (high - low) * torch.rand(shape, generator=random, dtype=torch.float64)


def _sign(shape: tuple[int, ...], random: torch.Generator) -> torch.Tensor:
    return torch.randint(0, 2, shape, generator=random).double() * 2 - 1


def _weight(terms: int, scales: torch.Tensor, random: torch.Generator) -> Quantized:
    quant_type = list(QuantType)[int(torch.randint(0, 2, (), generator=random))]
    index = torch.randint(0, 16, (OUTPUTS, terms), generator=random)
    return quantized(index, scales, 32, quant_type)


def _scales(terms: int, low: float, high: float, random: torch.Generator) -> torch.Tensor:
    return torch.exp2(_uniform((math.ceil(OUTPUTS * terms / 32),), low, high, random))


def normal(terms: int, random: torch.Generator) -> tuple[torch.Tensor, Quantized]:
    return torch.randn(ROWS, terms, generator=random), _weight(terms, _scales(terms, -3, 3, random), random)


def positive(terms: int, random: torch.Generator) -> tuple[torch.Tensor, Quantized]:
    return _uniform((ROWS, terms), 0.5, 2, random), _weight(terms, _scales(terms, -1, 1, random), random)


def heavy(terms: int, random: torch.Generator) -> tuple[torch.Tensor, Quantized]:
    x = torch.exp2(_uniform((ROWS, terms), -12, 4, random)) * _sign((ROWS, terms), random)
    return x, _weight(terms, _scales(terms, -12, 3, random), random)


def cancelling(terms: int, random: torch.Generator) -> tuple[torch.Tensor, Quantized]:
    half = _uniform((ROWS, math.ceil(terms / 2)), 1, 8, random)
    weight = quantized(torch.full((OUTPUTS, terms), 15), torch.ones(math.ceil(OUTPUTS * terms / 32)) * 1.7, 32)
    return torch.stack((half, -half), -1).flatten(-2)[:, :terms], weight


def one_hot(terms: int, random: torch.Generator) -> tuple[torch.Tensor, Quantized]:
    x = torch.zeros(ROWS, terms)
    x[torch.arange(ROWS), torch.randint(0, terms, (ROWS,), generator=random)] = 1.0
    return x, _weight(terms, _scales(terms, -3, 3, random), random)


def constant(terms: int, random: torch.Generator) -> tuple[torch.Tensor, Quantized]:
    """Every rounding error of a weight and of a sum is repeated."""
    index = int(torch.randint(1, 16, (), generator=random))
    scale = float(_uniform((), 0.5, 2, random))
    weight = quantized(torch.full((OUTPUTS, terms), index), torch.full((math.ceil(OUTPUTS * terms / 32),), scale), 32)
    return torch.full((ROWS, terms), float(_uniform((), 0.5, 2, random))), weight


def absorbed(terms: int, random: torch.Generator) -> tuple[torch.Tensor, Quantized]:
    """One large term and many of just under half a unit in its last place, each lost when it is added to it."""
    x = torch.full((ROWS, terms), 2.0**-24 * 0.999)
    x[:, 0] = 1.0
    weight = quantized(torch.full((OUTPUTS, terms), 15), torch.ones(math.ceil(OUTPUTS * terms / 32)), 32)
    return torch.ldexp(x, torch.randint(-3, 4, (1,), generator=random)), weight


def subnormal(terms: int, random: torch.Generator) -> tuple[torch.Tensor, Quantized]:
    """Scales, weights and products in and below the subnormal range of float16."""
    x = torch.exp2(_uniform((ROWS, terms), -12, 0, random)) * _sign((ROWS, terms), random)
    return x, _weight(terms, _scales(terms, -26, -12, random), random)


def subnormal_weights(terms: int, random: torch.Generator) -> tuple[torch.Tensor, Quantized]:
    """Weights that keep a bit or two in float16, and inputs that make that matter."""
    x = torch.exp2(_uniform((ROWS, terms), 3, 10, random)) * _sign((ROWS, terms), random)
    return x, _weight(terms, _scales(terms, -26, -21, random), random)


def vanishing(terms: int, random: torch.Generator) -> tuple[torch.Tensor, Quantized]:
    """Products around the smallest normal float32."""
    x = torch.exp2(_uniform((ROWS, terms), -14, 0, random)) * _sign((ROWS, terms), random)
    return x, _weight(terms, _scales(terms, -128, -110, random), random)


def flushable(terms: int, random: torch.Generator) -> tuple[torch.Tensor, Quantized]:
    """Inputs around the smallest normal float32, and weights so large that it matters whether they are taken for zero."""
    x = torch.exp2(_uniform((ROWS, terms), -140, -110, random)) * _sign((ROWS, terms), random)
    return x, _weight(terms, _scales(terms, 8, 15, random), random)


INPUTS: list[Callable[[int, torch.Generator], tuple[torch.Tensor, Quantized]]] = [
    normal, positive, heavy, cancelling, one_hot, constant, absorbed, subnormal, subnormal_weights, vanishing,
    flushable,
]  # fmt: skip


def make(fill: Callable[[int, torch.Generator], tuple[torch.Tensor, Quantized]], terms: int, dtype: torch.dtype, seed: int) -> Input:
    random = torch.Generator().manual_seed(seed)
    x, weight = fill(terms, random)
    bias = None
    if seed % 2:
        largest = float(multiply(x, weight.decoded, None).magnitude.max())
        bias = (torch.randn(OUTPUTS, generator=random) * min(largest, 1000.0)).to(dtype)
    return Input(x.float().to(dtype), weight, bias)


def how(seed: int) -> How:
    return How(torch.Generator().manual_seed(seed), fused=seed % 4 < 2, flush=seed % 3 == 0, late_bias=seed % 8 < 4)


def assert_inside(allowed: Interval, result: torch.Tensor) -> None:
    """That a float32 result lies within the error, and the output that it is rounded to between the ends."""
    output = result.to(allowed.low.dtype)
    inside = (output >= allowed.low) & (output <= allowed.high) & ((result.double() - allowed.value).abs() <= allowed.error)
    excused = ~allowed.finite & ~output.isfinite()
    if not bool((inside | excused).all()):
        place = int((~(inside | excused)).int().argmax())
        got, value, error = (part.flatten()[place].item() for part in (result, allowed.value, allowed.error))
        pytest.fail(f"{got} lies outside of {value} within {error} ({output.dtype})")


def model_of(arm: Arm, given_input: Input, stored: torch.dtype | None = None) -> ErrorModel:
    dtype = given_input.x.dtype
    return error_model((arm,), dtype, given_input.x.shape[-1], stored or dtype, bias=given_input.bias is not None)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fill", INPUTS)
def test_simt_lies_inside(fill: Callable[[int, torch.Generator], tuple[torch.Tensor, Quantized]], dtype: torch.dtype) -> None:
    for seed, terms in enumerate(TERMS):
        data = make(fill, terms, dtype, seed)
        allowed = interval(data.product, model_of(Arm.SIMT, data), dtype)
        assert_inside(allowed, kernels.simt(data.x, data.weight, data.bias, how(seed)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("stored", DTYPES)
@pytest.mark.parametrize("fill", INPUTS)
def test_dense_lies_inside(
    fill: Callable[[int, torch.Generator], tuple[torch.Tensor, Quantized]], stored: torch.dtype, dtype: torch.dtype
) -> None:
    for seed, terms in enumerate(SHORTER):
        data = make(fill, terms, dtype, seed)
        allowed = interval(data.product, model_of(Arm.LINEAR, data, stored), dtype)
        assert_inside(allowed, kernels.dense(data.x, data.weight, data.bias, stored, how(seed)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fill", INPUTS)
def test_triton_s_gemv_lies_inside(fill: Callable[[int, torch.Generator], tuple[torch.Tensor, Quantized]], dtype: torch.dtype) -> None:
    """A weight that is rounded once, from float32 to the activation's dtype, and whatever dense kernel torch takes."""
    for seed, terms in enumerate(SHORTER):
        data = make(fill, terms, dtype, seed)
        data = Input(data.x, data.weight, None)
        allowed = interval(data.product, model_of(Arm.TRITON_LINEAR, data), dtype)
        assert_inside(allowed, kernels.dense(data.x, data.weight, None, torch.float32, how(seed)))
        if dtype is not torch.float32:
            assert_inside(allowed, kernels.tensor_core(data.x, data.weight, None, torch.float32, how(seed)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_bound_of_triton_s_gemv_is_that_of_one_rounding_of_the_weight(dtype: torch.dtype) -> None:
    triton = error_model((Arm.TRITON_LINEAR,), dtype, 1, dtype, bias=False)
    unit = {torch.float32: 2.0**-24, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}[dtype]
    assert unit + 2.0**-24 <= triton.product < unit + 32 * 2.0**-24 * (1 + unit)
    assert triton.product <= error_model((Arm.LINEAR,), dtype, 1, dtype, bias=False).product


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("fill", INPUTS)
def test_tensor_cores_lie_inside(fill: Callable[[int, torch.Generator], tuple[torch.Tensor, Quantized]], dtype: torch.dtype) -> None:
    for seed, terms in enumerate(SHORTER):
        data = make(fill, terms, dtype, seed)
        allowed = interval(data.product, model_of(Arm.TENSOR_CORE, data), dtype)
        assert_inside(allowed, kernels.tensor_core(data.x, data.weight, data.bias, dtype, how(seed)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fill", INPUTS)
def test_the_fused_cpu_kernel_lies_inside(
    fill: Callable[[int, torch.Generator], tuple[torch.Tensor, Quantized]], dtype: torch.dtype
) -> None:
    for seed, terms in enumerate(SHORTER):
        data = make(fill, terms, dtype, seed)
        allowed = interval(data.product, model_of(Arm.CPU_BF16, data), dtype)
        assert_inside(allowed, kernels.cpu_bf16(data.x, data.weight, data.bias, how(seed)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_with_compressed_statistics_lie_inside(dtype: torch.dtype) -> None:
    """Scales evaluated in float32 with one rounding or with two, near cancellation of the offset."""
    for seed in range(24):
        random = torch.Generator().manual_seed(seed)
        terms = TERMS[seed % 6]
        index = torch.randint(0, 16, (OUTPUTS, terms), generator=random)
        code8 = _uniform((OUTPUTS, 1), -1, 1, random).float()
        outer, offset = _uniform((1, 1), 0.5, 1, random).float(), torch.tensor(0.37)
        scaled = code8.double() * outer.double()
        exact = (scaled + offset.double()).expand(OUTPUTS, terms)
        slack = 2 * 2.0**-24 * (scaled.abs() + exact.abs())
        kernel_scale = exact.float() if seed % 2 else (code8 * outer + offset).expand(OUTPUTS, terms)
        simple = quantized(index, torch.ones(1), OUTPUTS * terms)
        weight = Quantized(simple.code, kernel_scale, DecodedWeight(simple.code.double(), exact, slack))
        data = Input(torch.randn(ROWS, terms, generator=random).to(dtype), weight, None)
        for arm, output in (
            (Arm.SIMT, kernels.simt(data.x, weight, None, how(seed))),
            (Arm.LINEAR, kernels.dense(data.x, weight, None, dtype, how(seed))),
            (Arm.CPU_BF16, kernels.cpu_bf16(data.x, weight, None, how(seed))),
        ):
            assert_inside(interval(data.product, model_of(arm, data), dtype), output)


@functools.cache
def _worst_term(dtype: torch.dtype) -> tuple[int, float, float]:
    """Index, scale and input whose product is rounded the same way four times, as far as any three of them go."""
    unit = 2.0**-11 if dtype is torch.float16 else 2.0**-8
    grid = 1 + torch.arange(0, 1, 2 * unit)
    codes = quantized(torch.arange(1, 16)[None], torch.ones(1), 15).code[0].abs()
    scales = torch.cat([grid + 0.9999 * unit, grid + 1.0001 * unit]).float()
    worst, best = 0.0, (1, 1.0, 1.0)
    for index, code in enumerate(codes.tolist(), start=1):
        rounded = codes[index - 1].to(dtype) * scales.to(dtype)
        exact = code * scales.double()[:, None] * grid.double()[None]
        products = (rounded[:, None] * grid.to(dtype)[None]).double()
        error = torch.where(exact > 0, (products - exact).abs() / exact, 0.0)
        if float(error.max()) > worst:
            place = int(error.argmax())
            worst, best = float(error.max()), (index, float(scales[place // len(grid)]), float(grid[place % len(grid)]))
    return best


def _worst(dtype: torch.dtype, terms: int) -> Input:
    index, scale, x = _worst_term(dtype)
    weight = quantized(torch.full((OUTPUTS, terms), index), torch.full((math.ceil(OUTPUTS * terms / 32),), scale), 32)
    return Input(torch.full((ROWS, terms), x).to(dtype), weight, None)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("terms", [1, 64, 1024, 2048])
def test_the_worst_roundings_nearly_use_up_the_bound_of_simt(dtype: torch.dtype, terms: int) -> None:
    data = _worst(dtype, terms)
    allowed = interval(data.product, model_of(Arm.SIMT, data), dtype)
    result = kernels.simt(data.x, data.weight, None, how(1))
    assert_inside(allowed, result)
    assert float(((result.double() - allowed.value).abs() / allowed.error).max()) > 0.75


def test_the_worst_roundings_nearly_use_up_the_bound_of_the_fused_cpu_kernel() -> None:
    """Input, code, scale, weight and result are all rounded to bfloat16, here all upwards or all downwards."""
    weight = quantized(torch.tensor([[2]]), torch.tensor([1.0820308923721313]), 32)
    data = Input(torch.tensor([[1.0351558923721313]]), weight, None)
    allowed = interval(data.product, model_of(Arm.CPU_BF16, data), torch.float32)
    result = kernels.cpu_bf16(data.x, weight, None, how(0))
    assert_inside(allowed, result)
    assert float((result.double() - allowed.value).abs() / allowed.error) > 0.8
    assert float((result.double() - allowed.value).abs() / allowed.value.abs()) > 4.3 * 2.0**-8


def test_a_tensor_core_that_drops_every_small_term_lies_inside() -> None:
    """What lies below the last bit of the sum so far is cut off: thousands of products of almost that size are lost."""
    terms = 16_384
    x = torch.full((1, terms), 2.0**-13 * 0.999).half()
    x[0, 0] = 1024.0
    weight = quantized(torch.full((1, terms), 15), torch.ones(terms // 32), 32)
    data = Input(x, weight, None)
    allowed = interval(data.product, model_of(Arm.TENSOR_CORE, data), torch.float16)
    result = kernels.tensor_core(x, weight, None, torch.float16, How(torch.Generator().manual_seed(0), shuffle=False))
    assert float(result) == 1024.0
    assert_inside(allowed, result)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_bound_of_dense_is_a_few_roundings(dtype: torch.dtype) -> None:
    """Not only sound: a single term may be off by a rounding of the weight and little more."""
    data = make(one_hot, 1, dtype, 2)
    allowed = interval(data.product, model_of(Arm.LINEAR, data), dtype)
    unit = {torch.float32: 2.0**-24, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}[dtype]
    nonzero = allowed.value != 0
    assert float((allowed.error / allowed.value.abs())[nonzero].max()) < 8 * unit


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("quant_type", QuantType)
def test_dequantized_weights_lie_inside_and_their_neighbours_outside(dtype: torch.dtype, quant_type: QuantType) -> None:
    random = torch.Generator().manual_seed(9)
    scales = (
        torch.cat([_scales(64, -3, 3, random), _scales(64, -26, -14, random)])
        if dtype is not torch.bfloat16
        else _scales(64, -9, 9, random)
    )
    weight = quantized(torch.randint(0, 16, (len(scales), 32), generator=random), scales, 32, quant_type)
    product = product_of_weight(Case(weight=Weight(out_features=len(scales), in_features=32)), weight.decoded)
    allowed = interval(product, dequantize_model(dtype), dtype)
    result = weight.code * weight.scale
    output = result.to(dtype)
    assert_inside(allowed, result)
    infinity = torch.full_like(output, math.inf)
    above = torch.nextafter(torch.nextafter(output, infinity), infinity)
    assert not bool(((above >= allowed.low) & (above <= allowed.high))[output != 0].any())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("smallest", "inside"), [(0.005208333333, True), (0.00520833, True), (0.0052083, False), (0.00520834, False)])
def test_the_codes_that_triton_writes_lie_inside(dtype: torch.dtype, smallest: float, inside: bool) -> None:  # noqa: FBT001
    """FP4 as `dequantize_fp4_tree` has it from 0.50.1 on, and up to 0.50.0 with a smallest code of six digits; five are too few."""
    written = torch.tensor([0.0, smallest, 0.66666667, 1.0, 0.33333333, 0.5, 0.16666667, 0.25])
    index = torch.arange(16).repeat(64, 1)
    scales = torch.exp2(_uniform((64,), -3, 3, torch.Generator().manual_seed(2)))
    right = quantized(index, scales, 16, QuantType.FP4)
    result = torch.cat((written, -written))[index] * right.scale
    product = product_of_weight(Case(weight=Weight(out_features=64, in_features=16)), right.decoded)
    allowed = interval(product, triton_dequantize_model(dtype), dtype)
    if inside:
        assert_inside(allowed, result)
    else:
        assert bool(((result.double() - allowed.value).abs() > allowed.error).any())


@pytest.mark.parametrize(("arm", "dtype"), PAIRS)
def test_a_block_with_its_neighbours_scale_lies_outside(arm: Arm, dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(4)
    index = torch.randint(0, 7, (OUTPUTS, 64), generator=random)
    scales = 1.0 + torch.arange(OUTPUTS * 2) / 10
    right = quantized(index, scales, 32)
    swapped = scales.clone()
    swapped[6] = scales[7]  # output 3, first half of its row
    wrong = quantized(index, swapped, 32)
    data = Input(_uniform((ROWS, 64), 0.5, 1, random).to(dtype), right, None)
    allowed = interval(data.product, model_of(arm, data), dtype)
    output = _run(arm, data.x, wrong)
    outside = (output < allowed.low) | (output > allowed.high)
    assert outside[:, 3].all()
    assert not outside[:, :3].any()
    assert not outside[:, 4:].any()


@pytest.mark.parametrize(("arm", "dtype"), PAIRS)
@pytest.mark.parametrize("terms", [1, 2, 5, 8])
def test_a_dropped_element_lies_outside(arm: Arm, dtype: torch.dtype, terms: int) -> None:
    random = torch.Generator().manual_seed(terms)
    index = torch.randint(0, 2, (OUTPUTS, terms), generator=random)
    weight = quantized(index, 1 + torch.rand(OUTPUTS, generator=random), 32)
    x = _uniform((ROWS, terms), 0.9, 1.1, random).to(dtype)
    allowed = interval(Input(x, weight, None).product, model_of(arm, Input(x, weight, None)), dtype)
    short = x.clone()
    short[:, terms // 2] = 0
    output = _run(arm, short, weight)
    assert ((output < allowed.low) | (output > allowed.high)).all()


@pytest.mark.parametrize(("arm", "dtype"), PAIRS)
def test_one_code_off_lies_outside_on_one_hot_inputs(arm: Arm, dtype: torch.dtype) -> None:
    """The finest fault: a nibble one too large. Neighbouring codes lie far apart next to any rounding."""
    index = torch.arange(15).repeat(2).reshape(2, 15)
    right, wrong = (quantized(index + step, torch.ones(1) * 1.3, 64) for step in (0, 1))
    x = torch.eye(15).to(dtype)
    allowed = interval(Input(x, right, None).product, model_of(arm, Input(x, right, None)), dtype)
    output = _run(arm, x, wrong)
    assert ((output < allowed.low) | (output > allowed.high)).all()


def _run(arm: Arm, x: torch.Tensor, weight: Quantized) -> torch.Tensor:
    results = {
        Arm.SIMT: lambda: kernels.simt(x, weight, None, how(1)),
        Arm.GEMV: lambda: kernels.simt(x, weight, None, how(3)),
        Arm.TENSOR_CORE: lambda: kernels.tensor_core(x, weight, None, x.dtype, how(1)),
        Arm.LINEAR: lambda: kernels.dense(x, weight, None, x.dtype, how(1)),
        Arm.CPU_BF16: lambda: kernels.cpu_bf16(x, weight, None, how(1)),
        Arm.TRITON_LINEAR: lambda: kernels.dense(x, weight, None, torch.float32, how(1)),
    }
    return results[arm]().to(x.dtype)


def test_several_arms_get_the_weakest_bound() -> None:
    for dtype in DTYPES:
        both = error_model((Arm.SIMT, Arm.LINEAR), dtype, 100, dtype, bias=False)
        one, other = (error_model((arm,), dtype, 100, dtype, bias=False) for arm in (Arm.SIMT, Arm.LINEAR))
        assert both == one.union(other)


@pytest.mark.parametrize(("arm", "dtype"), PAIRS)
def test_bounds_grow_with_the_number_of_terms_and_with_a_bias(arm: Arm, dtype: torch.dtype) -> None:
    previous = error_model((arm,), dtype, 1, dtype, bias=False)
    for terms in (2, 100, 1024, 1025, 8192):
        model = error_model((arm,), dtype, terms, dtype, bias=False)
        assert model.union(previous) == model
        with_bias = error_model((arm,), dtype, terms, dtype, bias=True)
        assert with_bias.union(model) == with_bias
        assert with_bias.late_rounding > model.late_rounding
        previous = model


@pytest.mark.parametrize("arm", [Arm.SIMT, Arm.GEMV, Arm.TENSOR_CORE, Arm.LINEAR])
def test_products_of_float16_that_overflow_are_excused_but_not_wrong_finite_numbers(arm: Arm) -> None:
    weight = quantized(torch.full((1, 2), 15), torch.tensor([256.0]), 32)
    data = Input(torch.tensor([[258.5, -256.0]]).half(), weight, None)
    allowed = interval(data.product, model_of(arm, data), torch.float16)
    assert not bool(allowed.finite.any())
    assert_inside(allowed, _run(arm, data.x, weight))
    for wrong in (0.0, -640.0, 60000.0):
        output = torch.tensor([[wrong]]).half()
        assert bool(((output < allowed.low) | (output > allowed.high)).all())


def test_the_fused_cpu_kernel_has_no_excuse_in_float16_because_it_computes_in_bfloat16() -> None:
    weight = quantized(torch.full((2, 2), 15), torch.tensor([256.0, 256.0]), 32)
    data = Input(torch.tensor([[258.5, -256.0]]).half(), weight, None)
    inner = narrowest((Arm.CPU_BF16,), torch.float16)
    assert inner is torch.bfloat16
    allowed = interval(data.product, model_of(Arm.CPU_BF16, data), torch.float16, inner)
    assert bool(allowed.finite.all())
    assert_inside(allowed, kernels.cpu_bf16(data.x, weight, None, how(0)))


def test_a_bias_may_come_after_a_sum_that_overflowed() -> None:
    weight = quantized(torch.full((1, 2), 15), torch.tensor([256.0]), 32)
    data = Input(torch.tensor([[256.0, 4.0]]).half(), weight, torch.tensor([-4096.0]).half())
    allowed = interval(data.product, model_of(Arm.CPU_BF16, data), torch.float16, torch.bfloat16)
    assert float(data.product.value) == 66560.0
    assert not bool(allowed.finite.any())


@pytest.mark.parametrize("arms", [(), (Arm.SIMT,), (Arm.LINEAR, Arm.CPU_BF16)])
def test_other_kernels_hold_results_on_the_way_in_the_output_dtype(arms: tuple[Arm, ...]) -> None:
    for dtype in DTYPES:
        assert narrowest(arms, dtype) is dtype
        assert narrowest((Arm.CPU_BF16,), dtype) is (torch.bfloat16 if dtype is torch.float16 else dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_ordinary_results_have_to_be_finite(dtype: torch.dtype) -> None:
    data = make(normal, 64, dtype, 0)
    assert bool(interval(data.product, model_of(Arm.SIMT, data), dtype).finite.all())


def test_a_result_that_rounds_to_infinity_may_be_infinite() -> None:
    weight = quantized(torch.full((1, 1), 15), torch.tensor([1.0]), 32)
    data = Input(torch.tensor([[65504.0]]).half(), weight, torch.tensor([65504.0]).half())
    allowed = interval(data.product, model_of(Arm.LINEAR, data), torch.float16)
    assert_inside(allowed, kernels.dense(data.x, weight, data.bias, torch.float16, how(0)))


def test_the_ends_of_the_interval_are_rounded_once() -> None:
    value = torch.tensor([1 + 2.0**-11 + 2.0**-40], dtype=torch.float64)
    nothing = torch.zeros(1, dtype=torch.float64)
    product = Product(
        value=value, magnitude=value, code_magnitude=nothing, activation_magnitude=nothing, scale_error=nothing, bias=None, terms=1
    )
    allowed = interval(product, ErrorModel(), torch.float16)
    assert float(allowed.low) == 1 + 2.0**-10
    assert float(allowed.high) == 1.0
