"""Scripts of calls on a side stream and of replayed graphs, run on a device that is made up: they fail for the defect, and only for it."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bitsandbytes
import pytest
import torch
from bitsandbytes import functional

from fuzz.engine.judge import REPLAY as JUDGED
from reports.finding import Finding
from reports.script import write_script
from reports.script_stream import REPLAY
from strategies import fields
from strategies.case import Activation, Case, CudaStream, Execution, Fill, Mode, Quantization, Weight
from tests.fuzz.engine.fake_cuda import FakeCuda, install
from tests.fuzz.engine.on_fake_cuda import CPU, on_another_stream
from tests.reports.helpers import SYSTEM, execute, finding, model_for
from tests.reports.running import lint

CUDA = {**SYSTEM, "device": "cuda", "gpu": "NVIDIA H200"}
CASE = Case(
    weight=Weight(out_features=8, in_features=64, fill=Fill.NORMAL),
    activation=Activation(leading=(2,), fill=Fill.NORMAL),
    bias=True,
    seed=3,
)
SIDE = dataclasses.replace(CASE, execution=Execution(stream=CudaStream.SIDE))
GRAPH = dataclasses.replace(CASE, execution=Execution(mode=Mode.GRAPH))
OWNERS: dict[str, tuple[Any, str]] = {
    "quantize_4bit": (functional, "quantize_4bit"),
    "dequantize_4bit": (functional, "dequantize_4bit"),
    "matmul_4bit": (bitsandbytes, "matmul_4bit"),
    "dequantize_linear": (torch.nn.functional, "linear"),
    "linear4bit": (bitsandbytes.nn.Linear4bit, "forward"),
}
NESTED = [False, True]

needs_fused = pytest.mark.skipif(not CPU.fused, reason="before 0.50 matmul_4bit takes other views")


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    with install(monkeypatch) as device, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield device


def found(path: str, case: Case, symptom: str = "wrong value", **changes: Any) -> Finding:
    """A finding on the GPU."""
    plain = path.removesuffix("_replayed")
    how = "codes" if path == "quantize_4bit" and symptom == "wrong value" else ""
    values = {"how": how, "system": CUDA, "model": model_for(case, plain)} | changes
    return finding(path, symptom, case, **values)


def ran(item: Finding) -> tuple[int, str]:
    """The script of a finding, with everything in the memory of the CPU: status and output."""
    status, output, _ = execute(write_script(item).replace("'cuda'", "'cpu'"))
    return status, output


@needs_fused
@pytest.mark.parametrize("nested", NESTED)
@pytest.mark.parametrize("path", OWNERS)
def test_a_script_on_a_side_stream_fails_for_a_call_on_another_and_not_for_a_right_one(
    cuda: FakeCuda,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    nested: bool,  # noqa: FBT001
) -> None:
    case = dataclasses.replace(SIDE, quantization=Quantization(compress_statistics=nested))
    if path == "linear4bit":  # in eval mode it may end in the CPU's fused bfloat16 kernel, which aborts on some CPUs
        case = fields.replace(case, "execution.grad", value=True)
    assert ran(found(path, case))[0] == 0
    owner, name = OWNERS[path]
    monkeypatch.setattr(owner, name, on_another_stream(cuda, getattr(owner, name)))
    status, output = ran(found(path, case))
    assert status == 1, output
    assert "got: " in output
    assert ran(found(path, fields.replace(case, "execution.stream", CudaStream.DEFAULT)))[0] == 0


@pytest.mark.parametrize("nested", NESTED)
def test_a_weight_that_is_read_too_early_is_told_by_all_numbers_together(
    cuda: FakeCuda,
    monkeypatch: pytest.MonkeyPatch,
    nested: bool,  # noqa: FBT001
) -> None:
    """Which number is wrong first is chance, so that the finding names none."""
    case = dataclasses.replace(SIDE, quantization=Quantization(compress_statistics=nested))
    assert ran(found("quantize_4bit", case, how=""))[0] == 0
    monkeypatch.setattr(functional, "quantize_4bit", on_another_stream(cuda, functional.quantize_4bit))
    status, output = ran(found("quantize_4bit", case, how=""))
    assert status == 1, output
    assert "are wrong" in output


def first_input(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """A function that keeps a copy of the input of its first call."""
    copies: list[torch.Tensor] = []

    def cached(given: torch.Tensor, *arguments: Any, **named: Any) -> torch.Tensor:
        copies.append(copies[0] if copies else given.detach().clone())
        return function(copies[0], *arguments, **named)

    return cached


@needs_fused
@pytest.mark.parametrize("nested", NESTED)
@pytest.mark.parametrize("path", ["dequantize_4bit", "matmul_4bit"])
def test_a_script_of_a_graph_fails_for_one_that_ignores_its_inputs_or_writes_nothing(
    cuda: FakeCuda,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    nested: bool,  # noqa: FBT001
) -> None:
    item = found(f"{path}_replayed", dataclasses.replace(GRAPH, quantization=Quantization(compress_statistics=nested)))
    assert ran(item)[0] == 0
    owner, name = OWNERS[path]
    right = getattr(owner, name)
    for wrong in (first_input(right), on_another_stream(cuda, right)):
        monkeypatch.setattr(owner, name, wrong)
        status, output = ran(item)
        assert status == 1, output
        assert "are wrong" in output


@needs_fused
def test_a_script_of_a_module_s_graph_fails_for_one_that_writes_nothing(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    item = found("linear4bit_replayed", fields.replace(GRAPH, "execution.grad", value=True))
    assert ran(item)[0] == 0
    monkeypatch.setattr(bitsandbytes.nn.Linear4bit, "forward", on_another_stream(cuda, bitsandbytes.nn.Linear4bit.forward))
    assert ran(item)[0] == 1


@needs_fused
@pytest.mark.usefixtures("cuda")
def test_a_script_of_two_replays_fails_if_they_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    item = found("matmul_4bit_replayed", GRAPH, "broken relation", how=REPLAY)
    assert ran(item)[0] == 0
    right, count = bitsandbytes.matmul_4bit, torch.zeros(())
    monkeypatch.setattr(bitsandbytes, "matmul_4bit", lambda *arguments, **named: right(*arguments, **named) + count.add_(1))
    status, output = ran(item)
    assert status == 1
    assert "as from the first replay" in output


@needs_fused
@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("symptom", ["wrong value", "context lost"])
def test_a_capture_that_is_refused_is_no_defect(monkeypatch: pytest.MonkeyPatch, symptom: str) -> None:
    right = bitsandbytes.matmul_4bit

    def synchronizing(x: torch.Tensor, *arguments: Any, **named: Any) -> torch.Tensor:
        float(x.detach().sum())
        result: torch.Tensor = right(x, *arguments, **named)
        return result

    monkeypatch.setattr(bitsandbytes, "matmul_4bit", synchronizing)
    item = found("matmul_4bit_replayed", GRAPH, symptom, ruling="unspecified")
    status, output, _ = execute(write_script(item).replace("'cuda'", "'cpu'"), ("--call",) if symptom == "context lost" else ())
    assert status == 0
    assert "CaptureError: while it was captured: RuntimeError: operation not permitted when stream is capturing" in output


def test_scripts_name_what_the_engine_says() -> None:
    assert REPLAY == JUDGED


def test_scripts_have_no_undefined_names_and_nothing_for_linters(tmp_path: Path) -> None:
    scripts = {f"side_{path}": write_script(found(path, SIDE)) for path in OWNERS}
    scripts |= {f"{path}_replayed": write_script(found(f"{path}_replayed", GRAPH)) for path in ("dequantize_4bit", "matmul_4bit")}
    scripts |= {
        "changed": write_script(found("gemv_4bit", SIDE, "input changed", how="activation")),
    }
    assert lint(scripts, tmp_path) == []
    assert not any("noqa" in script or "type: ignore" in script for script in scripts.values())
    assert all("on a side stream" in script for name, script in scripts.items() if not name.endswith("_replayed"))


def test_a_case_on_the_cpu_has_a_plain_script() -> None:
    on_side, plain = (write_script(found("matmul_4bit", case, system=SYSTEM)) for case in (SIDE, CASE))
    assert on_side == plain
