"""Whether inputs are left alone: every byte of them and around them is watched, and put back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import bitsandbytes
import pytest
import torch
from bitsandbytes import functional

from fuzz.engine.judge_inputs import judge_inputs
from fuzz.engine.runner import Selection, run_case
from fuzz.engine.verdict import PathVerdict, Symptom
from fuzz.engine.watch import Change, Watch, before_multiplying, whole
from fuzz.oracle.arms import Arm
from strategies.case import Activation, Case, Fill, Layouts, Memory, Quantization, Weight
from strategies.memory import LAYOUTS
from tests.fuzz.engine.subjects import CPU, path_with, prepared_of, question_on

CASE = Case(
    weight=Weight(out_features=4, in_features=128, fill=Fill.NORMAL),
    activation=Activation(leading=(2,), fill=Fill.NORMAL),
    bias=True,
)


@pytest.mark.parametrize("memory", [memory for memory in Memory if memory is not Memory.EXPANDED])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.uint8])
def test_what_is_inside_and_what_is_around(memory: Memory, dtype: torch.dtype) -> None:
    tensor = LAYOUTS[memory](torch.arange(12).reshape(3, 4).to(dtype))
    before = tensor.clone()
    watch = Watch({"other": torch.zeros(3), "it": tensor})
    assert watch.changed() is None
    tensor[1, 2] += 1
    change = watch.changed()
    assert change is not None
    assert (change.name, change.inside) == ("it", True)
    assert torch.equal(tensor, before)
    assert watch.changed() is None
    memory_of_it = whole(tensor)
    if memory in {Memory.CONTIGUOUS, Memory.TRANSPOSED}:
        assert len(memory_of_it) == 12 * dtype.itemsize  # nothing lies around it
        return
    around = int(memory_of_it[-1])
    memory_of_it[-1] = 7
    assert watch.changed() == Change("it", inside=False, count=1)
    assert int(memory_of_it[-1]) == around


def test_a_change_that_is_no_other_number_is_one() -> None:
    tensor = torch.tensor([0.0, float("nan")])
    watch = Watch({"it": tensor})
    tensor[0] = -0.0
    assert watch.changed() == Change("it", inside=True, count=1)


def test_a_scalar_is_watched() -> None:
    offset = torch.tensor(2.5)
    watch = Watch({"offset": offset})
    offset += 1
    assert watch.changed() is not None
    assert float(offset) == 2.5


@pytest.mark.parametrize("nested", [False, True])
def test_everything_that_calls_read_is_watched(nested: bool) -> None:  # noqa: FBT001
    prepared = prepared_of(dataclasses.replace(CASE, quantization=Quantization(compress_statistics=nested)))
    watch = before_multiplying(prepared)
    read = [prepared.activation, prepared.bias, prepared.packed, prepared.state.absmax, prepared.state.code]
    read += [prepared.state.state2.absmax, prepared.state.state2.code, prepared.state.offset] if nested else []
    for tensor in read:
        assert tensor is not None
        tensor.view(-1)[0] += 1
        assert watch.changed() is not None


def spoiling(change: Callable[..., None], original: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        change(*args, **kwargs)
        return result

    return call


def verdicts(case: Case) -> dict[str, PathVerdict]:
    return {verdict.path: verdict for verdict in run_case(case, CPU, lambda _: None, Selection(only=["dequantize_4bit", "matmul_4bit"]))}


def test_a_call_that_changes_its_activation_is_told_from_those_that_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bitsandbytes, "matmul_4bit", spoiling(lambda x, *_, **__: x.mul_(2), bitsandbytes.matmul_4bit))
    found = verdicts(CASE)
    assert found["dequantize_4bit"].symptom is None
    verdict = found["matmul_4bit"]
    assert (verdict.symptom, verdict.how) == (Symptom.INPUT_CHANGED, "activation")
    assert verdict.expected == "the activation as before"


def test_a_write_beside_an_input_is_out_of_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    def beside(packed: torch.Tensor, *_: Any, **__: Any) -> None:
        whole(packed)[0] = 3

    monkeypatch.setattr(functional, "dequantize_4bit", spoiling(beside, functional.dequantize_4bit))
    found = verdicts(dataclasses.replace(CASE, memory=Layouts(packed=Memory.GUARDED)))
    assert (found["dequantize_4bit"].symptom, found["dequantize_4bit"].how) == (Symptom.OUT_OF_BOUNDS, "packed weight")
    assert found["dequantize_4bit"].got == "1 bytes of it changed"


def test_a_quantization_that_changes_its_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functional, "quantize_4bit", spoiling(lambda weight, **_: weight.zero_(), functional.quantize_4bit))
    found = verdicts(CASE)
    assert list(found) == ["quantize_4bit"]
    assert (found["quantize_4bit"].symptom, found["quantize_4bit"].how) == (Symptom.INPUT_CHANGED, "weight")


def test_nothing_is_said_of_inputs_that_were_left_alone() -> None:
    asked = question_on(path_with(Arm.LINEAR), prepared_of(CASE))
    assert judge_inputs(asked, Watch({"weight": torch.zeros(3)})) is None


@pytest.mark.parametrize("memory", Memory)
def test_the_library_leaves_its_inputs_alone(memory: Memory) -> None:
    found = verdicts(dataclasses.replace(CASE, memory=Layouts(activation=memory, weight=memory)))
    assert {verdict.symptom for verdict in found.values()} == {None}
