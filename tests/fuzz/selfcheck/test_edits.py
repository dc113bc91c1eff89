"""The small changes that faults are made of: each changes what it says, in a copy."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from fuzz.engine.calls import Prepared
from fuzz.selfcheck import edits
from strategies.case import Quantization, Relation, StorageDType
from tests.fuzz.engine.subjects import prepared_of, related_case

pytest.importorskip("bitsandbytes")


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def quantized(*, compressed: bool = False, storage: StorageDType = StorageDType.UINT8) -> Prepared:
    return prepared_of(related_case(Relation.NONE, quantization=Quantization(compress_statistics=compressed, storage=storage)))


def test_a_place_is_any_index_by_chance() -> None:
    seeded = generator()
    counts = Counter(edits.pick(4, seeded) for _ in range(400))
    assert set(counts) == {0, 1, 2, 3}
    assert min(counts.values()) > 50
    assert [edits.pick(100, generator(seed)) for seed in range(5)] == [edits.pick(100, generator(seed)) for seed in range(5)]


@pytest.mark.parametrize("storage", StorageDType)
def test_packed_bytes_are_changed_in_a_copy_of_the_same_dtype(storage: StorageDType) -> None:
    prepared = quantized(storage=storage)
    before = prepared.packed.view(torch.uint8).clone()
    changed = edits.with_packed(prepared, lambda data, _: data ^ 255, generator())
    assert (changed.packed.dtype, changed.packed.shape) == (prepared.packed.dtype, prepared.packed.shape)
    assert torch.equal(changed.packed.view(torch.uint8).flatten(), before.flatten() ^ 255)
    assert torch.equal(prepared.packed.view(torch.uint8), before)


def test_a_change_in_place_does_not_reach_the_original() -> None:
    prepared = quantized()
    before = prepared.packed.clone(), prepared.state.absmax.clone()
    edits.with_packed(prepared, lambda data, _: data.zero_(), generator())
    edits.with_absmax(prepared, lambda absmax, _: absmax.zero_(), generator())
    assert torch.equal(prepared.packed, before[0])
    assert torch.equal(prepared.state.absmax, before[1])


def test_scales_are_changed_in_a_copy() -> None:
    prepared = quantized()
    changed = edits.with_absmax(prepared, lambda absmax, _: absmax + 1, generator())
    assert torch.equal(changed.state.absmax, prepared.state.absmax + 1)
    assert changed.state is not prepared.state


@pytest.mark.parametrize("name", ["absmax", "code"])
def test_the_second_level_is_changed_in_a_copy(name: str) -> None:
    prepared = quantized(compressed=True)
    before = getattr(prepared.state.state2, name).clone()
    changed = edits.with_state2(prepared, name, lambda tensor: tensor.mul_(2))
    assert torch.equal(getattr(changed.state.state2, name), before * 2)
    assert torch.equal(getattr(prepared.state.state2, name), before)
    others = {"absmax", "code"} - {name}
    assert all(torch.equal(getattr(changed.state.state2, other), getattr(prepared.state.state2, other)) for other in others)


def test_the_offset_is_changed_in_a_copy() -> None:
    prepared = quantized(compressed=True)
    before = prepared.state.offset.clone()
    changed = edits.with_offset(prepared, torch.Tensor.zero_)
    assert float(changed.state.offset) == 0.0
    assert torch.equal(prepared.state.offset, before)
    assert float(before) != 0.0


def test_one_scale_becomes_its_neighbours() -> None:
    scales = torch.arange(10.0)
    changed = edits.neighbours_scale(scales.clone(), generator())
    (place,) = (changed != scales).nonzero().flatten().tolist()
    assert changed[place] == scales[place + 1]


def test_all_scales_move_by_one() -> None:
    assert edits.shifted_scales(torch.arange(4.0), generator()).tolist() == [3.0, 0.0, 1.0, 2.0]


def test_one_byte_is_turned() -> None:
    data = torch.arange(0x10, 0x1A, dtype=torch.uint8)
    changed = edits.swapped_nibbles(data.clone(), generator())
    (place,) = (changed != data).nonzero().flatten().tolist()
    assert int(changed[place]) == (int(data[place]) % 16) * 16 + int(data[place]) // 16


def test_all_bytes_are_turned() -> None:
    data = torch.tensor([0x12, 0xF0, 0x0F, 0x33], dtype=torch.uint8)
    assert edits.all_nibbles_swapped(data, generator()).tolist() == [0x21, 0x0F, 0xF0, 0x33]


def test_the_lowest_bit_of_one_nibble_is_flipped() -> None:
    data = torch.full((10,), 0x5A, dtype=torch.uint8)
    seen = set()
    for seed in range(20):
        changed = edits.flipped_bit(data.clone(), generator(seed))
        (place,) = (changed != data).nonzero().flatten().tolist()
        seen.add(int(changed[place]))
    assert seen == {0x5B, 0x4A}
