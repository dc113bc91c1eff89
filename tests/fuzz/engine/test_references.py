"""What paths are compared with: each reference is that of the path, computed once, in the path's own shapes and dtypes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from fuzz.engine import references as module
from fuzz.engine.paths import BY_NAME
from fuzz.oracle.arms import Arm
from fuzz.oracle.codebooks import NF4
from fuzz.oracle.expected import Arithmetic, Expected, expected
from fuzz.oracle.operands import Nested, Operands
from strategies.case import Case, FloatDType, Layout, PackedView, Quantization, Weight
from tests.fuzz.engine.helpers import FUSED, LEGACY, nested_state, prepared_by_hand, references_of

INDEX = torch.randint(0, 16, (5, 64), generator=torch.Generator().manual_seed(1))
ABSMAX = 0.5 + torch.rand(10, generator=torch.Generator().manual_seed(2))
X = torch.randn(2, 3, 64, generator=torch.Generator().manual_seed(3)).half()
BIAS = torch.tensor([1.0, -2.0, 3.0, 0.0, 5.0]).half()


def made(layout: Layout = Layout.OUT_IN, packed: PackedView = PackedView.RETURNED, dtype: FloatDType = FloatDType.FLOAT16) -> Case:
    return Case(weight=Weight(layout=layout, dtype=dtype), quantization=Quantization(blocksize=32), packed=packed)


def exact(layout: Layout) -> torch.Tensor:
    """The weight (5, 64) in float64: scales belong to 32 neighbours in memory."""
    stored = INDEX if layout is Layout.OUT_IN else INDEX.t()
    flat = torch.tensor(NF4).double()[stored.flatten()] * ABSMAX.double().repeat_interleave(32)
    weight = flat.reshape(stored.shape)
    return weight if layout is Layout.OUT_IN else weight.t()


@pytest.mark.parametrize("layout", Layout)
def test_the_product_is_exact_and_has_the_shape_of_the_result(layout: Layout) -> None:
    found = references_of(prepared_by_hand(X, INDEX, ABSMAX, bias=BIAS, case=made(layout)))
    product = found.product(BY_NAME["matmul_4bit"])
    assert product.value.shape == (2, 3, 5)
    assert torch.allclose(product.value, X.double() @ exact(layout).t(), rtol=1e-14, atol=1e-14)
    assert product.bias is not None
    assert torch.equal(product.bias, BIAS.double())
    assert product.terms == 64


def test_a_path_without_a_bias_is_compared_without_it() -> None:
    found = references_of(prepared_by_hand(X[:1, :1], INDEX, ABSMAX, bias=BIAS))
    assert found.product(BY_NAME["gemv_4bit"]).bias is None
    assert found.operands(BY_NAME["gemv_4bit"]).bias is None
    assert found.product(BY_NAME["matmul_4bit"]).bias is not None
    operands = found.operands(BY_NAME["matmul_4bit"])
    assert operands.bias is not None
    assert torch.equal(operands.bias, BIAS)


@pytest.mark.parametrize("layout", Layout)
def test_operands_are_what_the_kernel_multiplies(layout: Layout) -> None:
    prepared = prepared_by_hand(X, INDEX, ABSMAX, case=made(layout))
    operands = references_of(prepared).operands(BY_NAME["matmul_4bit"])
    assert operands.activation.shape == (6, 64)
    assert operands.activation.dtype == torch.float16
    for nested in Nested:
        assert torch.equal(operands.code.double() * operands.scales[nested].double(), exact(layout))


@pytest.mark.parametrize(
    ("path", "layout", "legacy", "stored"),
    [
        ("matmul_4bit", Layout.OUT_IN, False, torch.float16),
        ("matmul_4bit", Layout.IN_OUT, False, torch.bfloat16),
        ("matmul_4bit", Layout.OUT_IN, True, torch.bfloat16),
        ("dequantize_linear", Layout.OUT_IN, False, torch.bfloat16),
        ("gemm_4bit_op", Layout.OUT_IN, False, torch.float16),
    ],
)
def test_weights_pass_through_the_dtype_of_the_path(path: str, layout: Layout, legacy: bool, stored: torch.dtype) -> None:  # noqa: FBT001
    prepared = prepared_by_hand(X, INDEX, ABSMAX, case=made(layout, dtype=FloatDType.BFLOAT16), loaded=LEGACY if legacy else FUSED)
    found = references_of(prepared)
    assert found.operands(BY_NAME[path]).stored == stored
    weight = exact(layout).float().to(stored).half()
    assert torch.equal(found.linear(BY_NAME[path]), torch.nn.functional.linear(X, weight))


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_dequantized_weight_is_rounded_once_and_lies_as_it_was_stored(layout: Layout, dtype: torch.dtype) -> None:
    weight = references_of(prepared_by_hand(X, INDEX, ABSMAX, case=made(layout))).weight(dtype)
    right = exact(layout).float().to(dtype)  # a product of two float32 numbers, rounded twice
    assert weight.is_contiguous()
    assert torch.equal(weight, right if layout is Layout.OUT_IN else right.t())


def test_linear_gets_the_strides_that_upstream_hands_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of its sums may depend on them."""
    seen: list[tuple[int, ...]] = []
    original = torch.nn.functional.linear

    def watch(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        seen.append(weight.stride())
        assert x.shape == (2, 3, 64)
        return original(x, weight, bias)

    monkeypatch.setattr(torch.nn.functional, "linear", watch)
    for layout in Layout:
        for packed in PackedView:
            prepared = prepared_by_hand(X, INDEX, ABSMAX, bias=BIAS, case=made(layout, packed))
            result = references_of(prepared).linear(BY_NAME["dequantize_linear"])
            assert result.shape == (2, 3, 5)
    assert seen == [(64, 1), (64, 1), (1, 5), (1, 5)]


def test_everything_is_computed_once_and_only_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def watched(name: str) -> Any:
        original = getattr(module, name)

        def call(*arguments: Any) -> Any:
            calls.append(name)
            return original(*arguments)

        return call

    for name in ("decode", "decode_float32", "multiply", "product_of_weight"):
        monkeypatch.setattr(module, name, watched(name))
    found = references_of(prepared_by_hand(X[:1, :1], INDEX, ABSMAX, bias=BIAS))
    assert calls == []
    first = found.product(BY_NAME["matmul_4bit"])
    assert found.product(BY_NAME["gemm_4bit_op"]) is first
    assert calls == ["decode", "multiply"]
    found.product(BY_NAME["gemv_4bit"])
    found.product(BY_NAME["dequantize_4bit"])
    found.product(BY_NAME["dequantize_4bit"])
    assert calls == ["decode", "multiply", "product_of_weight"]
    found.operands(BY_NAME["matmul_4bit"])
    found.linear(BY_NAME["matmul_4bit"])
    found.weight(torch.float32)
    assert calls[3:] == ["decode_float32"]


def test_what_is_expected_is_computed_once_for_paths_that_are_given_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Arithmetic] = []
    original = expected

    def watch(arithmetic: Arithmetic, operands: Operands) -> Expected:
        asked.append(arithmetic)
        return original(arithmetic, operands)

    monkeypatch.setattr(module, "expected", watch)
    prepared = prepared_by_hand(X[:1, :1], INDEX, ABSMAX, bias=BIAS, case=made(dtype=FloatDType.BFLOAT16))
    found = references_of(prepared)
    simt, gemv = Arithmetic(arm=Arm.SIMT), Arithmetic(arm=Arm.GEMV)
    first = found.expected(BY_NAME["matmul_4bit"], simt)
    assert found.expected(BY_NAME["gemm_4bit_op"], simt) is first
    assert asked == [simt]
    without = found.expected(BY_NAME["gemv_4bit"], simt)
    assert without is not first
    assert not torch.equal(without.low, first.low)
    linear = Arithmetic(arm=Arm.LINEAR)
    stored = [found.expected(BY_NAME[path], linear) for path in ("matmul_4bit", "dequantize_linear")]
    assert not torch.equal(stored[0].low, stored[1].low)
    found.expected(BY_NAME["gemv_4bit"], gemv)
    found.expected(BY_NAME["gemv_4bit_op"], gemv)
    assert asked == [simt, simt, linear, linear, gemv]


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("packed", PackedView)
def test_the_reference_of_a_weight_is_in_the_view_that_the_case_asks_for(layout: Layout, packed: PackedView) -> None:
    found = references_of(prepared_by_hand(X, INDEX, ABSMAX, case=made(layout, packed))).product(BY_NAME["dequantize_4bit"])
    turned = (layout is Layout.IN_OUT) != (packed is PackedView.TRANSPOSED)
    right = exact(layout).t() if turned else exact(layout)
    assert torch.equal(found.value, right)
    assert torch.equal(found.magnitude, right.abs())
    assert torch.equal(found.code_magnitude, (INDEX_CODES.t() if turned else INDEX_CODES).abs())
    assert found.terms == 1
    assert found.bias is None
    assert not bool(found.scale_error.any())


INDEX_CODES = torch.tensor(NF4).double()[INDEX]


def test_the_error_of_compressed_scales_is_part_of_the_reference_of_a_weight() -> None:
    prepared = prepared_by_hand(X, INDEX, ABSMAX)
    state = nested_state(torch.arange(10, dtype=torch.uint8) * 25, torch.tensor([0.75]), 1.25)
    found = references_of(dataclasses.replace(prepared, state=state)).product(BY_NAME["dequantize_4bit"])
    assert bool((found.scale_error > 0)[INDEX_CODES != 0].all())
    assert torch.allclose(found.magnitude, found.value.abs() + found.scale_error, rtol=1e-15)
    assert float((found.scale_error / found.value.abs().clamp(min=1e-30)).max()) < 2.0**-20
