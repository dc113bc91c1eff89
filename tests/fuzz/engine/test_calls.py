"""What is handed to bitsandbytes, and what comes back of correct calls on the CPU."""

from __future__ import annotations

import dataclasses
import warnings
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from bitsandbytes import functional

from fuzz.engine import calls
from fuzz.engine.calls import Prepared, in_view, prepare
from fuzz.engine.library import inspect_library
from fuzz.engine.tensors import STORAGE_DTYPES, build
from fuzz.oracle.reference import decode
from strategies import fields
from strategies.case import Activation, Case, Execution, Fill, Layout, PackedView, Quantization, QuantType, StorageDType, Weight
from tests.fuzz.engine.helpers import FUSED

CASE = Case(
    weight=Weight(out_features=6, in_features=64, fill=Fill.NORMAL), activation=Activation(leading=(2,), fill=Fill.NORMAL), bias=True
)


def prepared_for(case: Case) -> Prepared:
    return prepare(case, build(case), inspect_library("cpu"))


def test_views_states_and_activations_are_handed_on_as_the_case_says() -> None:
    packed, x = torch.zeros(32, 1, dtype=torch.uint8), torch.ones(64)
    state = SimpleNamespace(absmax=torch.ones(1))
    case = Case(weight=Weight(in_features=64), packed=PackedView.TRANSPOSED, execution=Execution(grad=True))
    prepared = Prepared(case, FUSED, torch.ones(1, 64), x, None, packed, state)
    assert in_view(prepared).shape == (1, 32)
    assert in_view(dataclasses.replace(prepared, case=Case())).shape == (32, 1)
    fresh = prepared.activation_for_autograd()
    assert fresh.requires_grad
    assert fresh.is_leaf
    assert not x.requires_grad
    own = prepared.own_state()
    own.absmax = None
    assert state.absmax is not None


@pytest.mark.parametrize("storage", StorageDType)
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("layout", Layout)
def test_quantize_gets_every_argument_of_the_case(storage: StorageDType, compressed: bool, layout: Layout) -> None:  # noqa: FBT001
    quantization = Quantization(quant_type=QuantType.FP4, blocksize=32, compress_statistics=compressed, storage=storage)
    weight = dataclasses.replace(CASE.weight, layout=layout)
    prepared = prepared_for(dataclasses.replace(CASE, quantization=quantization, weight=weight))
    assert prepared.packed.dtype == STORAGE_DTYPES[storage]
    assert tuple(prepared.state.shape) == weight.stored_shape
    assert (prepared.state.quant_type, prepared.state.blocksize, prepared.state.nested) == ("fp4", 32, compressed)


@pytest.mark.parametrize("name", ["matmul", "gemm_op", "dequantize_linear"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("packed", PackedView)
def test_matrix_calls_multiply_by_the_decoded_weight_and_add_the_bias(name: str, compressed: bool, packed: PackedView) -> None:  # noqa: FBT001
    case = fields.replace(fields.replace(CASE, "quantization.compress_statistics", compressed), "packed", packed)
    prepared = prepared_for(case)
    if name == "gemm_op" and not prepared.library.fused:
        pytest.skip("this bitsandbytes has no gemm_4bit")
    weight = decode(case, prepared.packed, prepared.state).weight
    assert prepared.bias is not None
    exact = prepared.activation.double() @ weight.t() + prepared.bias.double()
    assert torch.allclose(getattr(calls, name)(prepared).double(), exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("packed", PackedView)
def test_a_dequantized_weight_is_turned_back_before_it_is_multiplied(layout: Layout, packed: PackedView) -> None:
    case = fields.replace(fields.replace(CASE, "weight.layout", layout), "packed", packed)
    prepared = prepared_for(case)
    weight = decode(case, prepared.packed, prepared.state).weight
    assert prepared.bias is not None
    exact = prepared.activation.double() @ weight.t() + prepared.bias.double()
    assert torch.allclose(calls.dequantize_linear(prepared).double(), exact, rtol=1e-4, atol=1e-4)
    turned = (layout is Layout.IN_OUT) != (packed is PackedView.TRANSPOSED)
    assert calls.dequantize(prepared).shape == ((64, 6) if turned else (6, 64))


def test_no_call_changes_the_prepared_tensors_or_the_state() -> None:
    prepared = prepared_for(fields.replace(CASE, "weight.layout", Layout.IN_OUT))
    before = (prepared.packed.clone(), prepared.activation.clone(), prepared.state.absmax.clone(), tuple(prepared.state.shape))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for call in (calls.dequantize, calls.dequantize_linear, calls.matmul):
            call(prepared)
    assert torch.equal(prepared.packed, before[0])
    assert torch.equal(prepared.activation, before[1])
    assert torch.equal(prepared.state.absmax, before[2])
    assert tuple(prepared.state.shape) == before[3]


@pytest.mark.parametrize("compressed", [False, True])
def test_the_gemv_op_gets_plain_statistics_and_the_code_table(compressed: bool) -> None:  # noqa: FBT001
    """The op itself is not run: on CPUs with AVX512-BF16 it may abort the process."""
    prepared = prepared_for(fields.replace(CASE, "quantization.compress_statistics", compressed))
    x, packed, shape, absmax, code, blocksize = calls.gemv_arguments(prepared)
    assert x is prepared.activation
    assert packed is prepared.packed
    assert (tuple(shape), blocksize) == ((6, 64), 64)
    assert torch.equal(code, functional.get_4bit_type("nf4", device="cpu"))
    decoded = decode(prepared.case, prepared.packed, prepared.state).scale[:, 0]
    assert torch.allclose(absmax.double(), decoded, rtol=1e-6)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_the_module_holds_the_weight_of_the_case(bias: bool, compressed: bool) -> None:  # noqa: FBT001
    quantization = Quantization(quant_type=QuantType.FP4, blocksize=128, compress_statistics=compressed)
    case = dataclasses.replace(CASE, bias=bias, quantization=quantization, execution=Execution(grad=True))
    prepared = prepared_for(case)
    module: Any = calls.quantized_module(prepared)
    state = module.weight.quant_state
    assert torch.equal(module.weight.data.flatten(), prepared.packed.flatten())
    assert (state.quant_type, state.blocksize, state.nested) == ("fp4", 128, compressed)
    assert module.compute_dtype == torch.float32
    assert (module.bias is None) is not bias
    if bias:
        assert prepared.bias is not None
        assert torch.equal(module.bias.detach(), prepared.bias)
