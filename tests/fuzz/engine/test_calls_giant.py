"""Giants, of a few thousand elements here: which repetition comes back, and what of it is judged wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import bitsandbytes
import pytest
import torch
from bitsandbytes import functional

from fuzz.engine import calls, calls_giant, runner
from fuzz.engine.calls import Prepared
from fuzz.engine.calls_giant import least_like
from fuzz.engine.tensors import build
from fuzz.engine.verdict import Ruling, Symptom
from strategies import giant
from strategies.case import Activation, Case, Execution, Fill, FloatDType, Mode, Quantization, StorageDType, Weight
from tests.fuzz.engine import on_fake_cuda as device
from tests.fuzz.engine.helpers import H200
from tests.fuzz.engine.on_fake_cuda import CPU, CUDA, on_fake_cuda, run

needs_fused = pytest.mark.skipif(not CPU.fused, reason="before 0.50 matmul_4bit takes other views")
BEYOND = (2**12, 2**13)
CASE = Case(
    weight=Weight(out_features=3, in_features=128, fill=Fill.NORMAL),
    activation=Activation(leading=(1,), fill=Fill.NORMAL),
    bias=True,
    execution=Execution(mode=Mode.GIANT),
)
PATHS = ("quantize_4bit_giant", "dequantize_4bit_giant", "matmul_4bit_giant", "gemv_4bit_giant")


@pytest.fixture(autouse=True)
def small_giants(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many elements as a CPU has time for."""
    monkeypatch.setattr(giant, "BEYOND", BEYOND)
    monkeypatch.setattr(device, "CUDA", dataclasses.replace(CUDA, gpu=dataclasses.replace(H200, memory=2**30)))


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with on_fake_cuda(monkeypatch):
        yield


def prepared(case: Case = CASE, memory: int = 2**30) -> Prepared:
    ready = calls.prepare(case, build(case), CPU)
    return dataclasses.replace(ready, library=dataclasses.replace(CPU, gpu=dataclasses.replace(H200, memory=memory)))


@pytest.mark.parametrize("dtype", FloatDType)
@pytest.mark.parametrize("storage", StorageDType)
def test_what_a_giant_gives_has_the_shape_of_the_small_one(dtype: FloatDType, storage: StorageDType) -> None:
    case = dataclasses.replace(CASE, weight=dataclasses.replace(CASE.weight, dtype=dtype), quantization=Quantization(storage=storage))
    ready = prepared(case)
    for result in (calls_giant.quantize(ready), calls_giant.dequantize(ready)):
        assert torch.equal(result, calls.dequantize(ready))


@needs_fused
@pytest.mark.parametrize("leading", [(), (1,), (3,), (2, 2)])
def test_a_product_by_a_giant_has_the_shape_of_the_small_one_s(leading: tuple[int, ...]) -> None:
    ready = prepared(dataclasses.replace(CASE, activation=dataclasses.replace(CASE.activation, leading=leading)))
    expected = calls.matmul(ready)
    result = calls_giant.matmul(ready)
    assert result.shape == expected.shape
    assert torch.allclose(result, expected, rtol=1e-5, atol=1e-5)


def repeating(module: Any, name: str, damage: Callable[[Any, int], Any], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let a function of the library damage what it makes of giants; returns their numbers of elements."""
    plain, seen = getattr(module, name), list[int]()

    def damaged(*arguments: Any, **named: Any) -> Any:
        result = plain(*arguments, **named)
        state = named.get("state", named.get("quant_state", arguments[1] if len(arguments) > 1 else None))
        elements = arguments[0].numel() if state is None else int(torch.Size(state.shape).numel())
        if elements <= CASE.weight.elements:
            return result
        seen.append(elements)
        return damage(result, elements)

    monkeypatch.setattr(module, name, damaged)
    return seen


def last_changed(result: Any, elements: int) -> Any:  # noqa: ARG001
    """The last number of all is another one."""
    part = result[0] if isinstance(result, tuple) else result
    flat = part.view(torch.uint8).flatten() if isinstance(result, tuple) else part.flatten()
    flat[-1] = flat[-1] ^ 0xFF if isinstance(result, tuple) else flat[-1] + 64
    return result


FUNCTIONS = {
    "quantize_4bit_giant": (functional, "quantize_4bit"),
    "dequantize_4bit_giant": (functional, "dequantize_4bit"),
    "matmul_4bit_giant": (bitsandbytes, "matmul_4bit"),
}


@needs_fused
@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("path", FUNCTIONS)
def test_a_right_library_is_right(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = repeating(*FUNCTIONS[path], lambda result, _: result, monkeypatch)
    verdict = run(CASE, path)[path]
    assert verdict.symptom is None
    assert verdict.ruling is Ruling.UNSPECIFIED
    assert [elements > beyond for elements, beyond in zip(seen, BEYOND, strict=True)] == [True, True]


@needs_fused
@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("path", FUNCTIONS)
def test_a_number_that_is_wrong_in_the_last_repetition_is_found(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    repeating(*FUNCTIONS[path], last_changed, monkeypatch)
    verdict = run(CASE, path)[path]
    assert verdict.symptom is Symptom.WRONG_VALUE
    assert "1 of" in verdict.got or "2 of" in verdict.got, "a byte has two codes"


@needs_fused
@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("path", FUNCTIONS)
def test_the_larger_giants_are_asked_for_too(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first number of elements is right, and the second is not."""
    repeating(*FUNCTIONS[path], lambda result, elements: last_changed(result, elements) if elements > BEYOND[1] else result, monkeypatch)
    assert run(CASE, path)[path].symptom is Symptom.WRONG_VALUE


@needs_fused
@pytest.mark.usefixtures("cuda")
def test_an_exception_says_that_there_are_too_many() -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ValueError("too many elements")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls_giant, "giant", refuse)
        verdict = run(CASE, "dequantize_4bit_giant")["dequantize_4bit_giant"]
    assert verdict.symptom is None
    assert "too many elements" in verdict.got


@pytest.mark.usefixtures("cuda")
def test_giants_are_for_what_can_be_repeated_on_a_gpu() -> None:
    asked = PATHS[:2]  # gemv of some releases ends the process on a CPU
    assert set(asked) <= set(run(CASE, *asked))
    odd = dataclasses.replace(CASE, weight=dataclasses.replace(CASE.weight, in_features=100))
    assert not set(asked) & set(run(odd, *asked))
    on_cpu = {verdict.path for verdict in runner.run_case(CASE, CPU, lambda _: None, runner.Selection(only=asked))}
    assert not set(asked) & on_cpu


def test_without_room_nothing_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[int] = []
    made = calls_giant.giant

    def noted(small: Prepared, number: int) -> Prepared:
        times.append(number)
        return made(small, number)

    monkeypatch.setattr(calls_giant, "giant", noted)
    ready = prepared(memory=2**12)
    assert torch.equal(calls_giant.dequantize(ready), calls.dequantize(ready))
    assert times == [1]


def test_the_repetition_that_is_least_like_the_small_one_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_giant, "CHUNK", 8)
    first = (torch.tensor([1.0, float("nan"), -0.0]), torch.tensor([7, 8], dtype=torch.uint8))
    many = tuple(part.repeat(11) for part in first)
    assert least_like(many, first).distance == 0.0, "NaN is what it was, and zero of either sign is zero"
    many[0][3 * 4] += 1e-6
    many[0][3 * 10 + 2] = 5.0
    many[0][3 * 6] -= 3.0
    found = least_like(many, first)
    assert (found.distance, found.parts[0][2].item(), found.parts[1].tolist()) == (5.0, 5.0, [7, 8])
    many[1][2 * 9] = 1
    found = least_like(many, first)
    assert (found.distance, found.parts[0][2].item(), found.parts[1].tolist()) == (float("inf"), 0.0, [1, 8])


@pytest.mark.parametrize("new", [float("nan"), float("inf")])
def test_what_is_no_number_is_farther_than_any(new: float) -> None:
    first = (torch.zeros(2, dtype=torch.float16),)
    many = (first[0].repeat(3),)
    many[0][1], many[0][4] = 65504.0, new
    assert least_like(many, first).distance == float("inf")
    assert not least_like(many, first).parts[0][0].isfinite()


def test_what_is_free_is_spoilt_before_a_giant_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    spoilt: list[int] = []
    monkeypatch.setattr(calls_giant, "_spoil", lambda size, device: spoilt.append(size))  # noqa: ARG005
    calls_giant.dequantize(prepared())
    assert len(spoilt) == len(BEYOND)
    assert all(size > elements * 4 for size, elements in zip(spoilt, BEYOND, strict=True)), "float32"
