"""Which kernels are counted as launched. The profiler itself is tested on a GPU."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

import pytest

from fuzz.campaign import survey as module
from fuzz.campaign.survey import survey
from fuzz.engine.executor import Executor, Ready
from fuzz.engine.verdict import CaseResult, PathVerdict, Ruling
from strategies.case import Case
from tests.reports.helpers import SYSTEM

SIMT, GEMV, OLD = "gemm_4bit_simt<float, 1>", "kgemm_4bit_inference_naive<float, 128, 32>", "gemm_4bit_sm75_m16n8k8<__half, 32, 64>"
NEW = "gemm_4bit_simt<new, 1>"


class Profiled:
    """An executor whose paths launch these kernels."""

    def __init__(self, *kernels: str, file: str = "native.so") -> None:
        self.kernels, self.file, self.cases = kernels, file, list[Case]()

    def start(self) -> Ready:
        return Ready(library={"native": {"file": self.file}}, system=SYSTEM | {"compute_capability": "9.0"}, note="", seconds=0.1)

    def run(self, case: Case, **options: Any) -> CaseResult:
        assert options == {"survey": True}
        self.cases.append(case)
        verdict = PathVerdict(path="matmul_4bit", surface="s", ruling=Ruling.VALID, source="", kernels=self.kernels)
        return CaseResult((verdict, verdict))


def as_executor(profiled: Profiled) -> Executor:
    return cast("Executor", profiled)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library's file that contains three kernels."""
    monkeypatch.setattr(module, "library_file", Path)
    monkeypatch.setattr(module, "contained", lambda file: (OLD, SIMT, GEMV) if file == Path("native.so") else ())


@pytest.mark.usefixtures("library")
def test_launches_of_4_bit_kernels_are_counted_and_what_cannot_be_has_its_reason() -> None:
    executor = Profiled(f"void {SIMT}(float const*, int)", "Memset (Device)", "void cutlass::Kernel2<x>(y)", NEW)
    launches = survey([Case(), Case(seed=1)], as_executor(executor), math.inf)
    assert launches.cases == 2
    assert launches.launched == {OLD: 0, SIMT: 4, GEMV: 0, NEW: 4}, "one that is not found in the file is told too"
    assert launches.unreachable == {OLD: "for compute capability 7.5 only"}
    assert launches.never == [GEMV]


@pytest.mark.usefixtures("library")
def test_it_ends_when_time_is_up() -> None:
    executor = Profiled(SIMT)
    launches = survey([Case(), Case(seed=1)], as_executor(executor), -1.0)
    assert (launches.cases, executor.cases) == (0, [])
    assert launches.launched == {OLD: 0, SIMT: 0, GEMV: 0}


@pytest.mark.parametrize("file", ["", "libbitsandbytes_cuda999.so"])
def test_without_the_library_s_file_nothing_is_known(file: str) -> None:
    with pytest.raises(OSError, match="bitsandbytes has loaded no native library whose kernels can be read"):
        survey([Case()], as_executor(Profiled(file=file)), math.inf)
