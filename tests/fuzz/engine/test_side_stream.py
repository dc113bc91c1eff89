"""Calls on a side stream that has yet to write what they read, on a device that is made up, with the real CPU kernels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import bitsandbytes
import pytest
import torch
from bitsandbytes import functional

from fuzz.engine import calls
from fuzz.engine.calls import prepare, with_layer
from fuzz.engine.pending import call_on_side_stream, read_by_calls
from fuzz.engine.runner import Selection, run_case
from fuzz.engine.tensors import build
from fuzz.engine.verdict import Grade, Symptom
from strategies import fields
from strategies.case import Activation, Case, CudaStream, Execution, Fill, FloatDType, Memory, Quantization, Weight
from tests.fuzz.engine.fake_cuda import FakeCuda, install
from tests.fuzz.engine.on_fake_cuda import CPU, on_another_stream, on_fake_cuda, run

CASE = Case(
    weight=Weight(out_features=32, in_features=64, fill=Fill.NORMAL),
    activation=Activation(leading=(2,), fill=Fill.NORMAL),
    bias=True,
    execution=Execution(stream=CudaStream.SIDE),
)
SAFE = ("dequantize_4bit", "dequantize_linear", "matmul_4bit", "gemm_4bit_op")
"""Not those that end in the CPU's fused bfloat16 kernel: there are CPUs on which it aborts the process."""

needs_fused = pytest.mark.skipif(not CPU.fused, reason="this bitsandbytes has no gemm_4bit")


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    with install(monkeypatch) as made_up:
        yield made_up


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    with on_fake_cuda(monkeypatch) as made_up:
        yield made_up


def test_a_call_on_the_side_stream_sees_what_is_written_there_and_is_done_when_it_returns(device: FakeCuda) -> None:
    x = torch.arange(4.0)
    streams: list[str] = []

    def call() -> torch.Tensor:
        streams.append(device.stream.name)
        return x * 2

    result = call_on_side_stream([x], call)
    assert result.tolist() == [0.0, 2.0, 4.0, 6.0]
    assert x.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert device.stream is device.default
    assert not any(stream.queue or stream.busy for stream in device.streams)
    assert len(set(streams)) == 1
    assert streams[0] != "default"


def test_a_call_on_any_other_stream_sees_poison(device: FakeCuda) -> None:
    x, packed = torch.arange(4.0), torch.arange(4, dtype=torch.uint8)
    for other in (device.default, device.new_stream()):

        def call(other: Any = other) -> tuple[torch.Tensor, torch.Tensor]:
            with device.on(other):
                return x * 2, packed + 0

        product, copied = call_on_side_stream([x, packed], call)
        assert product.isnan().all()
        assert copied.tolist() == [255, 254, 253, 252]
    assert x.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert packed.tolist() == [0, 1, 2, 3]


def test_after_an_exception_the_inputs_are_what_they_were_and_the_stream_is_the_default_one(device: FakeCuda) -> None:
    x = torch.ones(2)

    def call() -> None:
        raise ValueError("a wrong shape")

    with pytest.raises(ValueError, match=r"^a wrong shape$"):
        call_on_side_stream([x], call)
    assert x.tolist() == [1.0, 1.0]
    assert device.stream is device.default


def test_a_cuda_error_that_the_call_leaves_for_the_next_launch_keeps_nothing_poisoned(
    device: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, left = torch.ones(2), [False]

    def launch(cycles: int) -> None:
        if left[0]:
            left[0] = False
            raise RuntimeError("CUDA error: invalid argument")
        device.sleep(cycles)

    def call() -> torch.Tensor:
        left[0] = True
        return x * 2

    monkeypatch.setattr(torch.cuda, "_sleep", launch)
    result = call_on_side_stream([x], call)
    assert left == [True], "the call that counts has left one, too"
    assert result.tolist() == [2.0, 2.0]
    assert x.tolist() == [1.0, 1.0]


def test_one_side_stream_serves_all_calls(device: FakeCuda) -> None:
    for _ in range(3):
        call_on_side_stream([torch.ones(2)], lambda: None)
    assert len(device.streams) == 2


def test_what_was_queued_before_is_done_before(device: FakeCuda) -> None:
    x = torch.zeros(2)
    device.sleep(1)  # the default stream is busy
    x.add_(1)
    assert call_on_side_stream([x], lambda: x * 3).tolist() == [3.0, 3.0]
    assert x.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("nested", [False, True])
def test_a_layer_that_was_made_beforehand_is_what_is_read(nested: bool) -> None:  # noqa: FBT001
    case = dataclasses.replace(CASE, quantization=Quantization(compress_statistics=nested))
    prepared = prepare(case, build(case), CPU)
    ready = with_layer(prepared)
    state = ready.layer.weight.quant_state
    expected = [prepared.activation, prepared.bias, ready.layer.weight, state.absmax]
    expected += [state.offset, state.state2.absmax] if nested else []
    assert {id(tensor) for tensor in read_by_calls(ready)} == {id(tensor) for tensor in expected}
    assert ready.layer.bias.data_ptr() == ready.bias.data_ptr()  # type: ignore[union-attr]


def test_a_layer_that_was_made_beforehand_is_the_one_that_is_called() -> None:
    prepared = with_layer(prepare(CASE, build(CASE), CPU))
    prepared.layer.forward = lambda x: x * 0 + 7
    assert bool((calls.linear4bit(prepared) == 7).all())


@needs_fused
@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("execution.stream", CudaStream.SIDE),
        ("execution.grad", True),
        ("quantization.compress_statistics", True),
        ("memory.activation", Memory.EXPANDED),
        ("memory.packed", Memory.OFFSET),
        ("weight.dtype", FloatDType.FLOAT16),
        ("activation.rows", 0),
    ],
)
def test_right_calls_are_right_on_a_side_stream(name: str, value: Any) -> None:
    case = fields.replace(CASE, name, value)
    found = run(case, *SAFE, *(["linear4bit"] if case.execution.grad else []))
    assert {path: verdict.symptom for path, verdict in found.items()} == dict.fromkeys(found)
    assert {"quantize_4bit", "dequantize_4bit", "matmul_4bit"} <= set(found)
    assert ("linear4bit" in found) is case.execution.grad


OWNERS = {
    "dequantize_4bit": (functional, "dequantize_4bit"),
    "matmul_4bit": (bitsandbytes, "matmul_4bit"),
    "quantize_4bit": (functional, "quantize_4bit"),
}


@needs_fused
@pytest.mark.parametrize("path", OWNERS)
def test_a_call_that_launches_on_another_stream_fails_and_only_on_the_side(
    cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    owner, name = OWNERS[path]
    monkeypatch.setattr(owner, name, on_another_stream(cuda, getattr(owner, name)))
    found = run(CASE, *SAFE)
    assert (found[path].symptom, found[path].grade) == (Symptom.WRONG_VALUE, Grade.DEFINITE)
    by_default = run(fields.replace(CASE, "execution.stream", CudaStream.DEFAULT), *SAFE)
    assert {verdict.symptom for verdict in by_default.values()} == {None}
    if path == "quantize_4bit":
        others = {verdict.symptom for name, verdict in found.items() if name != path}
        assert others == {None}, "what was made of poison is made again for the calls that read it"
        assert len(found) == len(by_default)
        assert not found[path].how, "which of its numbers is seen to be wrong first is chance"


@needs_fused
def test_a_layer_that_launches_on_another_stream_is_seen_too(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    from bitsandbytes import nn  # noqa: PLC0415 - importing it initialises CUDA where there is any

    monkeypatch.setattr(nn.Linear4bit, "forward", on_another_stream(cuda, nn.Linear4bit.forward))
    grad = fields.replace(CASE, "execution.grad", value=True)
    assert run(grad, "linear4bit")["linear4bit"].symptom is Symptom.WRONG_VALUE
    assert run(fields.replace(grad, "execution.stream", CudaStream.DEFAULT), "linear4bit")["linear4bit"].symptom is None


@needs_fused
def test_a_side_stream_means_nothing_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def stream() -> Callable[[], None]:
        raise AssertionError("a CPU has no streams")

    monkeypatch.setattr(torch.cuda, "Stream", stream)
    verdicts = list(run_case(CASE, CPU, lambda _: None, Selection(only=SAFE)))
    assert [verdict.symptom for verdict in verdicts] == [None] * len(verdicts)
