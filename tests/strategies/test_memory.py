"""The memory layouts: the same numbers of the same shape, lying as the name says, with NaN around them."""

from __future__ import annotations

import pytest
import torch

from fuzz.oracle.codebooks import CODES
from strategies.case import FLAT_MEMORIES, OUT_MEMORIES, STORED_MEMORIES, Case, CaseError, Layouts, Memory, QuantType
from strategies.cases import cases
from strategies.memory import LAYOUTS, expanded, guarded, offset, strided, transposed
from tests.strategies.helpers import draw

SHAPES = [(1,), (5,), (1, 1), (3, 4), (2, 3, 4), (4, 1)]
DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.uint8]
TENSORS = [torch.arange(1, 1 + torch.Size(shape).numel()).reshape(shape).to(dtype) for shape in SHAPES for dtype in DTYPES]
every_tensor = pytest.mark.parametrize("tensor", TENSORS)
ALLOWED = {
    "packed": STORED_MEMORIES,
    "absmax": STORED_MEMORIES,
    "bias": FLAT_MEMORIES,
    "out": OUT_MEMORIES,
    "weight": tuple(Memory),
    "activation": tuple(Memory),
}


def memory_of(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage()).view(tensor.dtype)


def is_poison(values: torch.Tensor) -> bool:
    return bool((values == 255).all()) if values.dtype is torch.uint8 else bool(values.isnan().all())


@every_tensor
@pytest.mark.parametrize("memory", [memory for memory in Memory if memory is not Memory.EXPANDED])
def test_the_numbers_stay(tensor: torch.Tensor, memory: Memory) -> None:
    laid_out = LAYOUTS[memory](tensor)
    assert (laid_out.shape, laid_out.dtype) == (tensor.shape, tensor.dtype)
    assert torch.equal(laid_out, tensor)


@every_tensor
def test_guarded(tensor: torch.Tensor) -> None:
    laid_out = guarded(tensor)
    memory, size = memory_of(laid_out), tensor.numel()
    assert laid_out.is_contiguous()
    assert laid_out.storage_offset() == 256
    assert len(memory) == size + 512
    assert is_poison(memory[:256])
    assert is_poison(memory[256 + size :])


@every_tensor
def test_offset(tensor: torch.Tensor) -> None:
    laid_out = offset(tensor)
    memory, size = memory_of(laid_out), tensor.numel()
    assert laid_out.is_contiguous()
    assert laid_out.data_ptr() % 16 == tensor.element_size()
    assert is_poison(memory[:257])
    assert is_poison(memory[257 + size :])


@every_tensor
def test_strided(tensor: torch.Tensor) -> None:
    laid_out = strided(tensor)
    assert laid_out.stride(-1) == 2
    between = memory_of(laid_out)[1::2]
    assert (between == 0xA9).all() if tensor.dtype is torch.uint8 else is_poison(between)
    assert torch.equal(memory_of(laid_out)[::2], tensor.flatten())


@pytest.mark.parametrize("quant_type", list(QuantType))
def test_what_lies_between_packed_weights_is_no_code_of_dull_numbers(quant_type: QuantType) -> None:
    """Or weights of ones and zeros would be right by chance where the strides of the packed weight are ignored."""
    byte = int(memory_of(strided(torch.zeros(2, dtype=torch.uint8)))[1])
    values = [CODES[quant_type][byte >> 4], CODES[quant_type][byte & 15]]
    assert all(abs(abs(value) - dull) > 2**-8 for value in values for dull in (0.0, 1.0))


@every_tensor
def test_transposed(tensor: torch.Tensor) -> None:
    laid_out = transposed(tensor)
    if tensor.dim() == 1:
        assert laid_out is tensor
    else:
        assert laid_out.mT.is_contiguous()


@every_tensor
def test_expanded(tensor: torch.Tensor) -> None:
    laid_out = expanded(tensor)
    assert laid_out.shape == tensor.shape
    assert all(torch.equal(row, tensor[0]) for row in laid_out)
    assert len(memory_of(laid_out)) == tensor[:1].numel()


@pytest.mark.parametrize(
    ("name", "memory"),
    [
        *(("packed", Memory.EXPANDED), ("packed", Memory.TRANSPOSED), ("absmax", Memory.EXPANDED), ("bias", Memory.TRANSPOSED)),
        *(("out", Memory.EXPANDED), ("out", Memory.GUARDED)),
    ],
)
def test_a_layout_that_a_tensor_cannot_have_is_refused(name: str, memory: Memory) -> None:
    allowed = ", ".join(one.value for one in ALLOWED[name])
    with pytest.raises(CaseError, match=f"^memory.{name} is '{memory.value}', not one of {allowed}$"):
        Case(memory=Layouts(**{name: memory}))


def test_every_layout_is_drawn_and_half_of_the_cases_have_none() -> None:
    drawn = draw(cases(), 600)
    assert {case.memory.out for case in drawn} == {Memory.CONTIGUOUS}
    assert 0.4 < sum(case.memory == Layouts() for case in drawn) / len(drawn) < 0.8
    for name, allowed in ALLOWED.items() - {("out", OUT_MEMORIES)}:
        assert {getattr(case.memory, name) for case in drawn} == set(allowed)


def test_a_file_of_before_has_none() -> None:
    old = Case().to_json()
    del old["memory"]
    assert Case.from_json(old) == Case()
