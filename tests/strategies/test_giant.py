"""Small weights that are made giants: which there are, how large they become, and whether there is room."""

from __future__ import annotations

import dataclasses

import pytest

from strategies import fields
from strategies.case import Case, Execution, FloatDType, Layout, Mode, PackedView, Quantization, StorageDType, Weight
from strategies.giant import BEYOND, can_be_repeated, giant_cases, repeated, repeats, within
from tests.strategies.helpers import draw

SMALL = Case(weight=Weight(out_features=3, in_features=128), execution=Execution(mode=Mode.GIANT))


def test_every_case_that_is_drawn_can_be_repeated_and_is_small() -> None:
    drawn = draw(giant_cases(), 200)
    assert all(can_be_repeated(case) and case.execution.mode is Mode.GIANT for case in drawn)
    assert max(case.weight.elements for case in drawn) <= 2**17
    assert {case.weight.dtype for case in drawn} == set(FloatDType)
    assert {case.quantization.storage for case in drawn} == set(StorageDType)
    assert {case.activation.rows for case in drawn} == {1, 2, 3, 4}
    assert all(Case.from_json(case.to_json()) == case for case in drawn)


def test_both_views_of_the_packed_weight_are_drawn() -> None:
    """Releases before 0.50 multiply by the other one."""
    assert {case.packed for case in draw(giant_cases(), 60)} == set(PackedView)


@pytest.mark.parametrize("elements", BEYOND)
def test_a_giant_has_more_elements_and_just_as_many_as_it_takes(elements: int) -> None:
    times, giant = repeats(SMALL, elements), repeated(SMALL, elements)
    assert (times - 1) * SMALL.weight.elements <= elements < giant.weight.elements
    assert giant.weight.out_features == 3 * times
    assert dataclasses.replace(giant.weight, out_features=3) == SMALL.weight
    assert SMALL.weight.out_features == 3, "the small one stays what it is"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"weight.in_features": 100}, False),  # a block would go on in the next repetition
        ({"quantization.compress_statistics": True}, False),
        ({"quantization.blocksize": 256}, False),
        ({"weight.out_features": 0}, False),
        ({"weight.layout": Layout.IN_OUT}, True),
    ],
)
def test_blocks_and_bytes_begin_with_each_repetition(changes: dict[str, object], expected: bool) -> None:  # noqa: FBT001
    case = SMALL
    for name, value in changes.items():
        case = fields.replace(case, name, value)
    assert can_be_repeated(case) is expected


def test_bytes_that_do_not_fill_the_storage_cannot_be_repeated() -> None:
    quantization = Quantization(blocksize=32, storage=StorageDType.FLOAT32)
    odd = Case(weight=Weight(out_features=1, in_features=32), quantization=quantization)
    assert can_be_repeated(odd)
    assert not can_be_repeated(dataclasses.replace(odd, weight=Weight(out_features=1, in_features=36)))


def test_what_there_is_no_room_for_is_left_out() -> None:
    size = SMALL.weight.elements * 2  # of float16
    assert list(within(SMALL, 141 * 2**30, size)) == list(BEYOND)
    assert list(within(SMALL, 80 * 2**30, size)) == list(BEYOND)
    assert list(within(SMALL, 24 * 2**30, size)) == [BEYOND[0]]
    assert list(within(SMALL, 16 * 2**30, size)) == []
    assert list(within(SMALL, 0, 1)) == []
