"""`python -m fuzz kernels`: what is counted and printed. The profiler itself is tested on a GPU."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import pytest

from fuzz.__main__ import main
from fuzz.commands.kernels import count, table
from fuzz.engine.executor import Executor
from fuzz.engine.verdict import CaseResult, PathVerdict, Ruling
from strategies.case import Case

SIMT, GEMV, OLD = "gemm_4bit_simt<float, 1>", "kgemm_4bit_inference_naive<float, 128, 32>", "gemm_4bit_sm75_m16n8k8<__half, 32, 64>"


class Profiled:
    """An executor whose paths launch these kernels."""

    def __init__(self, *kernels: str) -> None:
        self.kernels, self.asked = kernels, 0

    def run(self, case: Case, **options: Any) -> CaseResult:
        assert options == {"survey": True}
        assert case == Case()
        self.asked += 1
        verdict = PathVerdict(path="matmul_4bit", surface="s", ruling=Ruling.VALID, source="", kernels=self.kernels)
        return CaseResult((verdict, verdict))


def test_launches_of_4_bit_kernels_are_counted() -> None:
    executor = Profiled(f"void {SIMT}(float const*, int)", "Memset (Device)", "void cutlass::Kernel2<x>(y)")
    assert count(cast("Executor", executor), [Case(), Case()]) == {SIMT: 4}
    assert executor.asked == 2


def test_a_table_of_what_was_launched_and_what_never_was() -> None:
    assert list(table((OLD, SIMT, GEMV), Counter({SIMT: 12, "gemm_4bit_simt<new, 1>": 1}))) == [
        f"      12  {SIMT}",
        f"   never  {OLD}  (for compute capability 7.5 only)",
        f"   never  {GEMV}",
        "       1  gemm_4bit_simt<new, 1>  (not found in the library's file)",
        "1 of 3 4-bit kernels were launched",
    ]


def test_without_a_gpu_it_is_one_sentence_and_status_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert main(["kernels", "--cases", "1"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("could not run: ")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("cases", ["0", "x"])
def test_a_number_of_cases_is_above_zero(cases: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["kernels", "--cases", cases])
    assert ended.value.code == 2
