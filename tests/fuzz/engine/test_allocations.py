"""Guards around what is allocated: what is written beside it is seen, and the tensors are what they would be without."""

from __future__ import annotations

import ctypes
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from bitsandbytes import functional

from fuzz.engine import paths
from fuzz.engine.allocations import GUARD, Allocations
from fuzz.engine.calls import Prepared
from fuzz.engine.library import Library, inspect_library
from fuzz.engine.runner import Selection, run_case
from fuzz.engine.verdict import TOO_SHORT, PathVerdict, Symptom
from reports.finding import ALLOCATED
from reports.script import write_script
from strategies import fields
from strategies.case import Activation, Case, CudaStream, Fill, Weight
from tests.reports.helpers import execute, finding

CASE = Case(weight=Weight(out_features=4, in_features=64, fill=Fill.NORMAL), activation=Activation(leading=(3,)))
PATH = "dequantize_linear"

RUN = paths.BY_NAME[PATH].run
LIKE = [torch.arange(6.0).reshape(2, 3).t(), torch.zeros(3, dtype=torch.float16), torch.zeros((2, 0)), torch.zeros(())]


def poke(tensor: torch.Tensor, offset: int, value: int = 1) -> None:
    """Write one byte beside a tensor, as a kernel does."""
    ctypes.memset(tensor.data_ptr() + offset, value, 1)


def end(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


@pytest.mark.parametrize("like", LIKE, ids=lambda like: str(tuple(like.shape)))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.uint8])
def test_an_allocation_is_what_it_would_be_without_guards(like: torch.Tensor, dtype: torch.dtype) -> None:
    plain = [torch.empty(like.shape, dtype=dtype), torch.empty_like(like, dtype=dtype), torch.empty(2, 5)]
    with Allocations().guarded():
        guarded = [torch.empty(like.shape, dtype=dtype), torch.empty_like(like, dtype=dtype), torch.empty(2, 5)]
    for one, other in zip(plain, guarded, strict=True):
        assert (one.shape, one.stride(), one.dtype, one.device) == (other.shape, other.stride(), other.dtype, other.device)
        assert other.data_ptr() % 64 == 0 or not other.numel()
        assert not other._is_view(), "or autograd would treat it otherwise"


def test_the_default_dtype_and_requires_grad_are_kept() -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float16)
    try:
        with Allocations().guarded():
            found = torch.empty(3, requires_grad=True)
    finally:
        torch.set_default_dtype(before)
    assert (found.dtype, found.requires_grad) == (torch.float16, True)


def test_what_has_no_memory_of_its_own_has_no_guard() -> None:
    out = torch.zeros(4)
    with Allocations().guarded():
        assert torch.empty(4, device="meta").is_meta
        assert torch.empty(4, out=out) is out
        assert torch.empty_like(torch.empty(4, device="meta")).is_meta


def test_allocating_is_as_before_afterwards() -> None:
    before = torch.empty, torch.empty_like
    with pytest.raises(ValueError, match="a call"), Allocations().guarded():
        raise ValueError("a call")
    assert (torch.empty, torch.empty_like) == before


@pytest.mark.parametrize(
    ("offset", "said"),
    [
        (lambda _: -1, "1 bytes before and 0 behind what was allocated"),
        (lambda _: -GUARD, "1 bytes before and 0 behind what was allocated"),
        (end, "0 bytes before and 1 behind what was allocated"),
        (lambda tensor: end(tensor) + GUARD - 1, "0 bytes before and 1 behind what was allocated"),
        (lambda _: 0, ""),
        (lambda tensor: end(tensor) - 1, ""),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_what_is_written_beside_an_allocation_is_seen(dtype: torch.dtype, offset: Callable[[torch.Tensor], int], said: str) -> None:
    allocations = Allocations()
    with allocations.guarded():
        tensors = [torch.empty(7, dtype=dtype) for _ in range(3)]
    assert allocations.overrun() == ""
    poke(tensors[1], offset(tensors[1]))
    assert allocations.overrun() == said


def overrunning(prepared: Prepared) -> torch.Tensor:
    """`dequantize_linear` that writes one byte too far, beside a buffer of its own."""
    buffer = torch.empty(5, dtype=torch.uint8)
    poke(buffer, 5)
    return RUN(prepared)


@pytest.fixture(scope="module")
def loaded() -> Library:
    return inspect_library("cpu")


def verdicts(case: Case, loaded: Library, only: tuple[str, ...]) -> dict[str, PathVerdict]:
    return {verdict.path: verdict for verdict in run_case(case, loaded, lambda _: None, Selection(only=only))}


def test_a_path_that_returns_the_right_numbers_and_writes_too_far_is_wrong(loaded: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tuple(dataclasses.replace(path, run=overrunning) if path.name == PATH else path for path in paths.PATHS)
    monkeypatch.setattr(paths, "PATHS", changed)
    found = verdicts(CASE, loaded, (PATH, "dequantize_4bit"))
    assert (found[PATH].symptom, found[PATH].how) == (Symptom.OUT_OF_BOUNDS, ALLOCATED)
    assert found[PATH].got == "0 bytes before and 1 behind what was allocated"
    assert found["dequantize_4bit"].symptom is None


@pytest.mark.parametrize(
    ("short", "expected"),
    [(0, (Symptom.OUT_OF_BOUNDS, ALLOCATED)), (1, (Symptom.WRONG_SHAPE, TOO_SHORT))],
    ids=["right otherwise", "too short, which is the reason"],
)
def test_a_quantization_that_writes_too_far_is_wrong(
    loaded: Library, monkeypatch: pytest.MonkeyPatch, short: int, expected: tuple[Symptom, str]
) -> None:
    quantize = functional.quantize_4bit

    def too_far(*arguments: Any, **named: Any) -> Any:
        poke(buffer := torch.empty(5, dtype=torch.uint8), end(buffer))
        packed, state = quantize(*arguments, **named)
        return packed[: len(packed) - short], state

    monkeypatch.setattr(functional, "quantize_4bit", too_far)
    verdict = verdicts(CASE, loaded, ())["quantize_4bit"]
    assert (verdict.symptom, verdict.how) == expected


@pytest.mark.parametrize("stream", list(CudaStream))
def test_the_script_ends_with_0_where_nothing_is_written_too_far(stream: CudaStream) -> None:
    item = finding(PATH, "written out of bounds", fields.replace(CASE, "execution.stream", stream), how=ALLOCATED)
    status, output, _ = execute(write_script(item))
    assert status == 0
    assert "got:      nothing was" in output


def test_the_script_ends_with_1_where_a_byte_is() -> None:
    item = finding(PATH, "written out of bounds", CASE, how=ALLOCATED)
    text = write_script(item).replace("    with allocations.guarded():\n", "    with allocations.guarded():\n        spoil()\n")
    spoil = "import ctypes\ndef spoil():\n    ctypes.memset(torch.empty(5, dtype=torch.uint8).data_ptr() + 5, 1, 1)\n\n\n"
    status, output, _ = execute(text.replace("allocations = Allocations()", spoil + "allocations = Allocations()"))
    assert status == 1
    assert "got:      0 bytes before and 1 behind what was allocated" in output
