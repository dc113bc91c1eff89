"""The output buffer: every element that is written outside of it, or not written in it, is seen."""

from __future__ import annotations

import pytest
import torch

from fuzz.engine.guarded import CANARY, HALO, Guarded, OutOfBoundsError
from strategies.case import OUT_MEMORIES, Memory
from strategies.memory import LAYOUTS

DTYPES = [torch.float16, torch.bfloat16, torch.float32]
SHAPES = [(1,), (3,), (1, 1, 7), (4, 129), (2, 3, 5)]


def guarded(shape: tuple[int, ...] = (2, 3), dtype: torch.dtype = torch.float16) -> Guarded:
    return Guarded(shape, dtype, "cpu")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_tensor_is_contiguous_in_the_middle_of_a_larger_one_and_full_of_nan(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    made = guarded(shape, dtype)
    assert (made.tensor.shape, made.tensor.dtype) == (torch.Size(shape), dtype)
    assert made.tensor.is_contiguous()
    assert bool(made.tensor.isnan().all())
    assert made.buffer.numel() == made.tensor.numel() + 2 * HALO
    assert made.tensor.data_ptr() - made.buffer.data_ptr() == HALO * dtype.itemsize


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_guard_is_a_number_that_every_dtype_holds(dtype: torch.dtype) -> None:
    made = guarded(dtype=dtype)
    for guard in (made.buffer[:HALO], made.buffer[-HALO:]):
        assert set(guard.tolist()) == {CANARY}


@pytest.mark.parametrize("dtype", DTYPES)
def test_alignment_is_that_of_an_allocation_of_its_own(dtype: torch.dtype) -> None:
    assert HALO * dtype.itemsize % 512 == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_what_was_written_inside_is_returned(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    made = guarded(shape, dtype)
    values = torch.arange(made.tensor.numel(), dtype=dtype).reshape(shape)
    made.tensor.copy_(values)
    assert torch.equal(made.checked(), values)


def test_what_was_not_written_is_left_nan() -> None:
    made = guarded()
    made.tensor[0] = 1.0
    assert made.checked().isnan().sum(-1).tolist() == [0, 3]


@pytest.mark.parametrize(
    ("places", "before", "behind"),
    [
        ([HALO - 1], 1, 0),
        ([HALO + 6], 0, 1),
        ([0], 1, 0),
        ([2 * HALO + 5], 0, 1),
        ([HALO - 2, HALO - 1, HALO + 6], 2, 1),
        (list(range(HALO)), HALO, 0),
        (list(range(HALO + 6, 2 * HALO + 6)), 0, HALO),
    ],
)
@pytest.mark.parametrize("value", [0.0, 1.0, float("nan"), float("inf"), -CANARY])
def test_every_element_outside_is_counted_on_its_side(places: list[int], before: int, behind: int, value: float) -> None:
    made = guarded()
    made.tensor.fill_(1.0)
    made.buffer[places] = value
    with pytest.raises(OutOfBoundsError, match=f"^{before} elements before and {behind} behind the output were written$"):
        made.checked()


def test_a_canary_inside_is_a_number_like_any_other() -> None:
    made = guarded()
    made.tensor.fill_(CANARY)
    assert set(made.checked().flatten().tolist()) == {CANARY}


def test_no_elements_at_all() -> None:
    made = guarded((0, 4))
    assert made.checked().shape == (0, 4)
    made.buffer[HALO] = 0.0
    with pytest.raises(OutOfBoundsError, match="0 elements before and 1 behind"):
        made.checked()


@pytest.mark.parametrize("memory", OUT_MEMORIES)
@pytest.mark.parametrize("shape", [(3,), (4, 129), (2, 3, 5)])
def test_a_layout_is_that_of_the_name(shape: tuple[int, ...], memory: Memory) -> None:
    made = Guarded(shape, torch.float32, "cpu", memory)
    alike = LAYOUTS[memory](torch.full(shape, torch.nan))
    assert made.tensor.stride() == alike.stride()
    assert (made.tensor.data_ptr() % 16 == 0) is (memory is not Memory.OFFSET)
    made.tensor.copy_(torch.arange(made.tensor.numel()).view(shape))
    assert torch.equal(made.checked(), torch.arange(made.tensor.numel()).view(shape))


@pytest.mark.parametrize("memory", OUT_MEMORIES)
def test_every_element_that_is_not_the_tensors_is_guarded(memory: Memory) -> None:
    for place in range(Guarded((2, 3), torch.float32, "cpu", memory).buffer.numel()):
        made = Guarded((2, 3), torch.float32, "cpu", memory)
        made.tensor.fill_(1.0)
        made.buffer[place] = 0.0
        if bool((made.tensor == 1).all()):
            with pytest.raises(OutOfBoundsError, match="1"):
                made.checked()
        else:
            made.checked()


def test_what_is_written_between_the_elements_is_counted_apart() -> None:
    made = Guarded((2, 3), torch.float32, "cpu", Memory.STRIDED)
    made.buffer[HALO : HALO + 12] = 0.0
    with pytest.raises(OutOfBoundsError, match="0 elements before, 6 between and 0 behind the output were written"):
        made.checked()


def test_strides_that_are_ignored_leave_elements_unwritten_and_are_no_overrun() -> None:
    made = Guarded((2, 3), torch.float32, "cpu", Memory.STRIDED)
    made.buffer[HALO : HALO + 6] = 0.0
    assert made.checked().isnan().sum() == 3
    made.buffer[-1] = 0.0
    with pytest.raises(OutOfBoundsError, match="0 elements before and 1 behind"):
        made.checked()


def test_where_nothing_is_stored_there_is_nothing_to_guard() -> None:
    made = Guarded((2, 3), torch.float32, "meta")
    assert made.checked() is made.tensor
    assert made.tensor.is_meta
