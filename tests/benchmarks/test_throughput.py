"""Judged Cases against the floor: what is left out, and how the table is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks import throughput
from benchmarks.mix import drawn
from benchmarks.throughput import Measured
from fuzz.engine.verdict import CaseResult, PathVerdict, Ruling, Symptom
from strategies.case import Case


def verdict(path: str, symptom: Symptom | None = None) -> PathVerdict:
    return PathVerdict(surface="s", path=path, ruling=Ruling.VALID, source="", symptom=symptom)


class Executor:
    """Answers at once. Cases with an even seed end the child."""

    def __init__(self) -> None:
        self.ran: list[Case] = []

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


def test_the_campaign_draws_as_many_and_leaves_out_the_same() -> None:
    cases, _ = drawn(5, 12)
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
