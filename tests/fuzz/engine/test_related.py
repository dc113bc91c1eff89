"""The second calls' inputs: what is changed is changed rightly, everything else is as it was, and nothing is changed in place."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from fuzz.engine import related
from fuzz.engine.calls import Prepared
from fuzz.engine.pending import read_by_calls
from fuzz.oracle.reference import decode
from strategies.case import Activation, Case, PackedView, Quantization, QuantType, Relation, StorageDType
from tests.fuzz.engine.subjects import prepared_of, related_case

QUANTIZATIONS = [Quantization(quant_type=quant_type, storage=storage) for quant_type in QuantType for storage in StorageDType]


def weight_of(prepared: Prepared) -> torch.Tensor:
    """The weight that packed bytes and state stand for, (out_features, in_features), exact."""
    return decode(prepared.case, prepared.packed, prepared.state).weight


def some(case: Case | None = None, *, bias: bool = True) -> Prepared:
    return prepared_of(case or related_case(Relation.RERUN, bias=bias))


@pytest.fixture(params=QUANTIZATIONS, ids=lambda quantization: f"{quantization.quant_type.value}-{quantization.storage.value}")
def prepared(request: pytest.FixtureRequest) -> Prepared:
    return prepared_of(related_case(Relation.RERUN, quantization=request.param, bias=True))


CHANGES = {
    "with_activation": lambda p: related.with_activation(p, -p.activation),
    "with_bias": lambda p: related.with_bias(p, None),
    "with_scales": lambda p: related.with_scales(p, 2.0),
    "one_row": related.one_row,
    "reversed_rows": related.reversed_rows,
    "permuted_outputs": related.permuted_outputs,
    "appended_zeros": related.appended_zeros,
    "halved_blocksize": related.halved_blocksize,
    "storage_view": related.storage_view,
}


@pytest.mark.parametrize("name", CHANGES)
def test_nothing_is_changed_in_place(prepared: Prepared, name: str) -> None:
    before = {
        "case": prepared.case,
        "activation": prepared.activation.clone(),
        "packed": prepared.packed.clone(),
        "absmax": prepared.state.absmax.clone(),
        "state": (tuple(prepared.state.shape), prepared.state.blocksize),
    }
    assert prepared.bias is not None
    bias = prepared.bias.clone()
    changed = CHANGES[name](prepared)
    assert changed is not prepared
    assert prepared.case == before["case"]
    assert torch.equal(prepared.activation, before["activation"])
    assert torch.equal(prepared.packed.view(torch.uint8), before["packed"].view(torch.uint8))
    assert torch.equal(prepared.state.absmax, before["absmax"])
    assert (tuple(prepared.state.shape), prepared.state.blocksize) == before["state"]
    assert torch.equal(prepared.bias, bias)


@pytest.mark.parametrize("name", [name for name in CHANGES if name not in {"with_scales", "permuted_outputs", "appended_zeros"}])
def test_the_weight_stays_the_same_unless_the_relation_is_about_it(prepared: Prepared, name: str) -> None:
    assert torch.equal(weight_of(CHANGES[name](prepared)), weight_of(prepared))


def test_activation_and_bias_are_replaced() -> None:
    prepared = some()
    other = torch.zeros_like(prepared.activation)
    assert related.with_activation(prepared, other).activation is other
    assert related.with_activation(prepared, other).bias is prepared.bias
    assert related.with_bias(prepared, None).bias is None
    assert related.with_bias(prepared, None).activation is prepared.activation


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_scales_are_multiplied(prepared: Prepared, factor: float) -> None:
    assert torch.equal(weight_of(related.with_scales(prepared, factor)), weight_of(prepared) * factor)


@pytest.mark.parametrize("leading", [(3,), (2, 2), (1, 4), (7, 1)])
def test_one_row_is_the_first_as_a_batch_of_one(leading: tuple[int, ...]) -> None:
    prepared = some(related_case(Relation.RERUN, leading=leading))
    changed = related.one_row(prepared)
    assert torch.equal(changed.activation, prepared.activation.reshape(-1, 128)[:1])
    assert changed.activation.is_contiguous()
    assert changed.case == dataclasses.replace(prepared.case, activation=dataclasses.replace(prepared.case.activation, leading=(1,)))


@pytest.mark.parametrize("leading", [(3,), (2, 2), (1, 4), (7, 1)])
def test_rows_are_reversed_as_a_matrix(leading: tuple[int, ...]) -> None:
    prepared = some(related_case(Relation.RERUN, leading=leading))
    changed, rows = related.reversed_rows(prepared), prepared.case.activation.rows
    assert [row.tolist() for row in changed.activation] == [row.tolist() for row in reversed(prepared.activation.reshape(rows, 128))]
    assert changed.case.activation == Activation(leading=(rows,), fill=prepared.case.activation.fill)
    assert changed.case.output_shape == (rows, 6)


def test_outputs_of_weight_and_bias_are_reversed(prepared: Prepared) -> None:
    changed = related.permuted_outputs(prepared)
    assert torch.equal(weight_of(changed), weight_of(prepared).flip(0))
    assert changed.bias is not None
    assert prepared.bias is not None
    assert torch.equal(changed.bias, prepared.bias.flip(0))
    assert changed.case == prepared.case
    assert (changed.packed.dtype, changed.packed.shape) == (prepared.packed.dtype, prepared.packed.shape)
    assert related.permuted_outputs(some(bias=False)).bias is None


def test_one_block_more_in_every_row_is_multiplied_by_zeros(prepared: Prepared) -> None:
    changed = related.appended_zeros(prepared)
    weight, x = weight_of(changed), changed.activation
    assert changed.case.weight.in_features == x.shape[-1] == 192
    assert tuple(changed.state.shape) == (6, 192)
    assert torch.equal(weight[:, :128], weight_of(prepared))
    assert torch.equal(x[..., :128], prepared.activation)
    assert not bool(x[..., 128:].any())
    assert bool(weight.isfinite().all())
    assert changed.packed.dtype == prepared.packed.dtype
    assert changed.packed.numel() * changed.packed.element_size() == 6 * 192 // 2
    assert changed.state.absmax.numel() == 6 * 192 // 64


@pytest.mark.parametrize(
    ("outputs", "terms", "blocksize"), [(6, 128, 64), (3, 33, 64), (5, 100, 128), (1, 1, 4096), (2, 64, 64), (7, 96, 64)]
)
def test_half_the_blocksize_takes_every_scale_twice(outputs: int, terms: int, blocksize: int) -> None:
    case = related_case(Relation.RERUN, outputs=outputs, terms=terms, quantization=Quantization(blocksize=blocksize))
    prepared = some(case)
    changed = related.halved_blocksize(prepared)
    assert changed.case.quantization.blocksize == changed.state.blocksize == blocksize // 2
    assert changed.state.absmax.numel() == -(-outputs * terms // (blocksize // 2))
    assert changed.state.absmax.is_contiguous()
    assert torch.equal(weight_of(changed), weight_of(prepared))


@pytest.mark.parametrize("storage", StorageDType)
def test_packed_bytes_are_viewed_as_another_dtype(storage: StorageDType) -> None:
    prepared = some(related_case(Relation.RERUN, quantization=Quantization(storage=storage)))
    changed = related.storage_view(prepared)
    assert changed.packed.dtype is (torch.bfloat16 if storage is StorageDType.UINT8 else torch.uint8)
    assert changed.packed.shape == (6 * 128 // 2 // changed.packed.element_size(), 1)
    assert torch.equal(changed.packed.view(torch.uint8).flatten(), prepared.packed.view(torch.uint8).flatten())


def test_a_transposed_view_keeps_its_bytes() -> None:
    """The view is made where the call is made; packed bytes are kept as they were returned."""
    case = dataclasses.replace(related_case(Relation.RERUN), packed=PackedView.TRANSPOSED)
    assert torch.equal(weight_of(related.halved_blocksize(prepared_of(case))), weight_of(prepared_of(case)))


@pytest.mark.parametrize("compressed", [False, True])
def test_everything_that_is_read_is_on_the_second_gpu_and_stays_on_the_first(compressed: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    monkeypatch.setattr(related, "SECOND_GPU", torch.device("meta"))  # which every machine has
    prepared = prepared_of(related_case(Relation.SECOND_GPU, bias=True, quantization=Quantization(compress_statistics=compressed)))
    moved = related.on_second_gpu(prepared)
    assert {tensor.device.type for tensor in read_by_calls(moved)} == {"meta"}
    assert {tensor.device.type for tensor in read_by_calls(prepared)} == {"cpu"}
    assert len(read_by_calls(moved)) == len(read_by_calls(prepared)) == (6 if compressed else 4)
