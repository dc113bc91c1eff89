"""Judged Cases against the floor: what is left out, and how the table is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from benchmarks import throughput
from benchmarks.floor import Job
from benchmarks.mix import drawn
from benchmarks.throughput import Measured
from fuzz.engine.executor import HarnessError, Ready
from fuzz.engine.verdict import CaseResult, PathVerdict, Ruling, Symptom
from strategies.case import Case


def verdict(path: str, symptom: Symptom | None = None) -> PathVerdict:
    return PathVerdict(surface="s", path=path, ruling=Ruling.VALID, source="", symptom=symptom)


class Executor:
    """Answers at once. Cases with an even seed end the child."""

    def __init__(self) -> None:
        self.ran: list[Case] = []

    def start(self) -> Ready:
        return Ready(library={}, system={"device": "cpu"}, note="", seconds=0.0)

    def run(self, case: Case) -> CaseResult:
        self.ran.append(case)
        symptom = None if case.seed % 2 else Symptom.PROCESS_DIED
        return CaseResult((verdict("quantize_4bit"), verdict("dequantize_4bit"), verdict("matmul_4bit", symptom)))

    def submit(self, case: Case, callback: Callable[[CaseResult], None]) -> None:
        callback(self.run(case))

    def drain(self) -> None:
        """Nothing waits."""


def seeds(cases: Sequence[Case]) -> list[int]:
    return [case.seed for case in cases]


def test_what_ends_the_child_is_left_out_and_what_is_quantized_is_no_path() -> None:
    jobs = throughput.survivors(Executor(), [Case(seed=number) for number in range(4)])  # type: ignore[arg-type]
    assert seeds([case for case, _ in jobs]) == [1, 3]
    assert [names for _, names in jobs] == [["dequantize_4bit", "matmul_4bit"]] * 2


DONE = {"seconds": 2.0, "calls": 5, "outputs": 50}


def bare(jobs: Sequence[Job], device: str) -> tuple[list[dict[str, float]], str]:
    """A floor that ends at the first Case whose seed is divisible by three."""
    assert device == "cpu"
    lines: list[dict[str, float]] = []
    for number, (case, _) in enumerate(jobs):
        lines.append({"at": number})
        if case.seed % 3 == 0:
            return lines, "Segmentation fault"
    return [*lines, {"rehearsed": len(jobs)}, DONE], ""


def test_what_ends_the_floor_is_left_out_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "_bare", bare)
    jobs: list[Job] = [(Case(seed=seed), ["matmul_4bit"]) for seed in (1, 3, 5, 6, 9, 11)]
    kept, measured = throughput.floor(jobs, "cpu")
    assert seeds([case for case, _ in kept]) == [1, 5, 11]
    assert measured == DONE


@pytest.mark.parametrize("lines", [[], [{"at": 0}, {"rehearsed": 1}]])
def test_a_floor_that_ends_where_no_case_is_to_blame_is_a_mistake_of_ours(
    lines: list[dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throughput, "_bare", lambda *_: (lines, "ModuleNotFoundError: no torch"))
    with pytest.raises(HarnessError, match="the floor ended by itself: ModuleNotFoundError: no torch"):
        throughput.floor([(Case(), ["matmul_4bit"])], "cpu")


def test_the_floor_is_measured_in_a_process_of_its_own() -> None:
    jobs: list[Job] = [(Case(), ["dequantize_4bit", "matmul_4bit"])]
    assert throughput.floor(jobs, "cpu")[1]["calls"] == 2


def test_the_campaign_draws_as_many_and_leaves_out_the_same() -> None:
    cases, _ = drawn(5, 12, "cpu")
    executor = Executor()
    ending = frozenset(cases[::2])
    assert throughput.campaign(executor, 5, 5, ending) > 0  # type: ignore[arg-type]
    assert executor.ran == [case for case in cases if case not in ending][:5]


def test_the_table_compares_with_the_floor() -> None:
    measured = Measured(cases=100, left_out=3, calls=400, outputs=9000, drawing=0.5, floor=1.0, judged=2.0, campaign=4.0)
    (_, campaign, beforehand, floor, _, shares) = measured.lines()
    assert campaign == "| campaign | 25 | 100 | 2,250 | 25% |"
    assert beforehand == "| drawn beforehand | 50 | 200 | 4,500 | 50% |"
    assert floor == "| floor | 100 | 400 | 9,000 | 100% |"
    assert shares.startswith("Of the campaign's time: drawing 12%, executing 25%, judging 25%. 100 Cases; 3 that end the child")
