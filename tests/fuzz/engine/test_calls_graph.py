"""Captured calls, with the real CPU kernels on a device that is made up: right ones pass, and what is not in the graph is seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import bitsandbytes
import pytest
import torch
from bitsandbytes import functional

from fuzz.engine import paths
from fuzz.engine.calls import Prepared
from fuzz.engine.paths import BY_NAME, PATHS
from fuzz.engine.provocation import Provocation
from fuzz.engine.runner import Selection, run_case
from fuzz.engine.verdict import CAPTURE_FAILED, Grade, Ruling, Symptom
from strategies import fields
from strategies.case import Activation, Case, CudaStream, Execution, Fill, FloatDType, Memory, Mode, Weight
from tests.fuzz.engine.fake_cuda import FakeCuda
from tests.fuzz.engine.helpers import FUSED, library
from tests.fuzz.engine.on_fake_cuda import CPU, CUDA, on_another_stream, on_fake_cuda, run

CASE = Case(
    weight=Weight(out_features=32, in_features=64, fill=Fill.NORMAL),
    activation=Activation(leading=(2,), fill=Fill.NORMAL),
    bias=True,
    execution=Execution(mode=Mode.GRAPH),
)
SAFE = ("dequantize_4bit_replayed", "matmul_4bit_replayed", "gemm_4bit_replayed")
"""Not those that end in the CPU's fused bfloat16 kernel: there are CPUs on which it aborts the process."""

pytestmark = pytest.mark.skipif(not CPU.fused, reason="this bitsandbytes has no gemm_4bit")


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    with on_fake_cuda(monkeypatch) as device:
        yield device


def test_graphs_are_asked_for_on_gpus_only() -> None:
    names = {path.name for path in PATHS if path.mode is Mode.GRAPH}
    case = dataclasses.replace(CASE, activation=Activation(leading=(1,)))
    assert {name for name in names if BY_NAME[name].takes(case, FUSED)} == names
    assert not any(BY_NAME[name].takes(case, library()) for name in names)


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("execution.mode", Mode.GRAPH),
        ("execution.grad", True),
        ("quantization.compress_statistics", True),
        ("memory.activation", Memory.EXPANDED),
        ("memory.activation", Memory.STRIDED),
        ("weight.dtype", FloatDType.BFLOAT16),
    ],
)
def test_right_calls_are_right_when_they_are_replayed(name: str, value: Any) -> None:
    case = fields.replace(CASE, name, value)
    found = run(case, *SAFE, *(["linear4bit_replayed"] if case.execution.grad else []))
    ran = [found[path] for path in SAFE if BY_NAME[path].takes(case, FUSED)]
    assert len(ran) >= 2
    assert [verdict.symptom for verdict in found.values()] == [None] * len(found)
    assert {verdict.got for verdict in ran} == {""}
    assert {verdict.ruling for verdict in ran} == {Ruling.UNSPECIFIED}
    assert all(verdict.model for verdict in ran)
    assert ("linear4bit_replayed" in found) is case.execution.grad


def test_a_module_is_replayed_with_another_activation(cuda: FakeCuda) -> None:
    found = run(fields.replace(CASE, "execution.grad", value=True), "linear4bit_replayed")
    assert found["linear4bit_replayed"].symptom is None
    assert cuda.stream is cuda.default


OWNERS = {"matmul_4bit_replayed": (bitsandbytes, "matmul_4bit"), "dequantize_4bit_replayed": (functional, "dequantize_4bit")}


def plant(monkeypatch: pytest.MonkeyPatch, path: str, wrong: Callable[..., torch.Tensor]) -> None:
    """Let the function that `path` captures be `wrong`, and right where it is called without a graph."""
    owner, name = OWNERS[path]
    right = BY_NAME[path].run

    def faulty(prepared: Prepared) -> torch.Tensor:
        with monkeypatch.context() as planted:
            planted.setattr(owner, name, wrong)
            return right(prepared)

    changed = tuple(dataclasses.replace(one, run=faulty) if one.name == path else one for one in PATHS)
    monkeypatch.setattr(paths, "PATHS", changed)


def first_input(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """A function that keeps a copy of the input of its first call, as a cache would."""
    copies: list[torch.Tensor] = []

    def cached(given: torch.Tensor, *arguments: Any, **named: Any) -> torch.Tensor:
        copies.append(copies[0] if copies else given.detach().clone())
        return function(copies[0], *arguments, **named)

    return cached


@pytest.mark.parametrize("path", OWNERS)
@pytest.mark.parametrize("fault", ["cached", "elsewhere"])
def test_a_graph_that_ignores_its_inputs_or_writes_nothing_is_seen(
    cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch, path: str, fault: str
) -> None:
    owner, name = OWNERS[path]
    right = getattr(owner, name)
    wrong = first_input(right) if fault == "cached" else on_another_stream(cuda, right)
    plant(monkeypatch, path, wrong)
    case = fields.replace(fields.replace(CASE, "weight.fill", Fill.ONES), "activation.fill", Fill.ONES)
    found = run(case, path)[path]
    assert (found.symptom, found.grade) == (Symptom.WRONG_VALUE, Grade.DEFINITE)


@pytest.mark.usefixtures("cuda")
def test_a_call_that_cannot_be_captured_is_allowed_and_ends_the_case(monkeypatch: pytest.MonkeyPatch) -> None:
    right = bitsandbytes.matmul_4bit

    def synchronizing(x: torch.Tensor, *arguments: Any, **named: Any) -> torch.Tensor:
        float(x.sum())
        result: torch.Tensor = right(x, *arguments, **named)
        return result

    monkeypatch.setattr(bitsandbytes, "matmul_4bit", synchronizing)
    found = run(CASE, *SAFE)
    refused = found["matmul_4bit_replayed"]
    assert (refused.symptom, refused.how) == (None, CAPTURE_FAILED)
    assert refused.got == "while it was captured: RuntimeError: operation not permitted when stream is capturing"
    assert refused.ends_child
    assert list(found)[-1] == "matmul_4bit_replayed", "nothing more is run in this process"
    announced: list[str] = []
    repeated = Selection(only=("matmul_4bit_replayed",), provocation=Provocation.REPETITION)
    list(run_case(CASE, CUDA, lambda verdict: announced.append(verdict.path), repeated))
    assert announced.count("matmul_4bit_replayed") == 1, "nor is it repeated"


@pytest.mark.usefixtures("cuda")
def test_replays_that_differ_are_a_broken_relation(monkeypatch: pytest.MonkeyPatch) -> None:
    right, count = bitsandbytes.matmul_4bit, torch.zeros(())
    path = "matmul_4bit_replayed"
    plant(monkeypatch, path, lambda *arguments, **named: right(*arguments, **named) + count.add_(1))
    found = run(CASE, path)[path]
    assert (found.symptom, found.how) == (Symptom.BROKEN_RELATION, "replay")
    assert found.ruling is Ruling.UNSPECIFIED, "numbers are judged whatever the documents say"


def test_a_side_stream_is_not_that_of_a_graph(cuda: FakeCuda) -> None:
    found = run(fields.replace(CASE, "execution.stream", CudaStream.SIDE), *SAFE)
    assert {verdict.symptom for verdict in found.values()} == {None}
    assert not any(stream.busy for stream in cuda.streams)
