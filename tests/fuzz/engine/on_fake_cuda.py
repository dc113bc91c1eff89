"""Cases on a device that is made up, with the CPU's kernels: what is said to be on the GPU lies in the memory of the CPU."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from fuzz.engine import calls, calls_graph, runner
from fuzz.engine.calls import Placed, Prepared
from fuzz.engine.library import Library, inspect_library
from fuzz.engine.runner import Selection, run_case
from fuzz.engine.tensors import Inputs
from fuzz.engine.verdict import PathVerdict
from strategies.case import Case
from tests.fuzz.engine.fake_cuda import FakeCuda, install
from tests.fuzz.engine.helpers import FUSED

CPU = inspect_library("cpu")
CUDA = dataclasses.replace(FUSED, fused=CPU.fused, version=CPU.version)
"""What the engine takes it for."""


@contextlib.contextmanager
def on_fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    """The device, under whatever `run` runs."""
    place, module = calls.place, calls.quantized_module

    def placed(case: Case, inputs: Inputs, library: Library) -> Placed:  # noqa: ARG001 - which is said to be on the GPU
        return place(case, inputs, CPU)

    def made(prepared: Prepared) -> torch.nn.Module:
        return module(dataclasses.replace(prepared, library=CPU))

    monkeypatch.setattr(runner, "place", placed)
    for user in (calls, calls_graph):
        monkeypatch.setattr(user, "quantized_module", made)
    with install(monkeypatch) as cuda, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monkeypatch.setattr(runner, "_synchronize", lambda library, device=None: cuda.synchronize())  # noqa: ARG005
        yield cuda


def run(case: Case, *only: str) -> dict[str, PathVerdict]:
    """The verdicts of a Case, by path."""
    return {verdict.path: verdict for verdict in run_case(case, CUDA, lambda _: None, Selection(only=only))}


def on_another_stream(cuda: FakeCuda, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, launched on a stream that waits for none."""
    other = cuda.new_stream()

    def hasty(*arguments: Any, **named: Any) -> Any:
        capturing, cuda.capturing = cuda.capturing, None
        try:
            with cuda.on(other):
                return function(*arguments, **named)
        finally:
            cuda.capturing = capturing

    return hasty
