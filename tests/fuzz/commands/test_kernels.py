"""`python -m fuzz kernels`: what is counted and printed. The profiler itself is tested on a GPU."""

from __future__ import annotations

from typing import cast

import pytest

from fuzz.__main__ import main
from fuzz.commands.kernels import met
from fuzz.engine.executor import Executor
from fuzz.engine.verdict import CaseResult, PathVerdict, Ruling
from strategies.case import Case


class Answering:
    """An executor on which one path is right whatever it is asked."""

    def __init__(self) -> None:
        self.cases: list[Case] = []

    def run(self, case: Case) -> CaseResult:
        self.cases.append(case)
        return CaseResult((PathVerdict(path="matmul_4bit", surface="s", ruling=Ruling.VALID, source="", arms=("tensor_core",)),))


@pytest.mark.parametrize("cases", [1, 60])
def test_so_many_cases_are_run_and_those_that_may_launch_something_new_are_kept(cases: int) -> None:
    executor = Answering()
    kept = met(cast("Executor", executor), cases, 3600.0, seed=3).take()
    assert len(executor.cases) == cases
    assert kept[0] == executor.cases[0]
    assert set(kept) <= set(executor.cases)
    assert any(case.weight.out_features > 1024 for case in executor.cases) is (cases > 1), "some are wide"


def test_when_time_is_up_what_was_kept_so_far_is_what_there_is() -> None:
    executor = Answering()
    assert met(cast("Executor", executor), 60, -1.0, seed=3).take() == executor.cases
    assert len(executor.cases) == 1


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
