"""What a run has visited."""

from __future__ import annotations

import dataclasses

from fuzz.campaign.coverage import Visited
from fuzz.engine.verdict import CaseResult, PathVerdict, Ruling
from strategies.case import Case, Layout, Weight
from strategies.classes import CLASSES, pairs

VERDICT = PathVerdict(path="matmul_4bit", surface="functional.matmul_4bit", ruling=Ruling.VALID, source="", arms=("linear",))
EITHER = dataclasses.replace(VERDICT, arms=("simt", "tensor_core"))
QUANTIZED = dataclasses.replace(VERDICT, path="quantize_4bit", arms=())


def test_nothing_was_visited() -> None:
    coverage = Visited().coverage()
    assert coverage.visited_pairs == 0
    assert coverage.pairs == len(list(pairs()))
    assert len(coverage.never_drawn) == sum(len(classes) for classes in CLASSES.values())
    assert coverage.arms == {}


def test_a_case_is_one_class_of_each_field_and_a_pair_of_every_two() -> None:
    visited = Visited()
    visited.count(Case(), CaseResult((QUANTIZED, VERDICT)))
    visited.count(Case(), CaseResult((EITHER, VERDICT)))
    coverage = visited.coverage()
    fields = len(CLASSES)
    assert coverage.visited_pairs == fields * (fields - 1) // 2
    assert coverage.values["weight.layout"] == {"out_in": 2, "in_out": 0}
    assert "weight.layout=in_out" in coverage.never_drawn
    assert "weight.layout=out_in" not in coverage.missing.get("weight.fill=ones", [])
    assert coverage.arms == {"matmul_4bit": {"linear": 2, "simt or tensor_core": 1}}


def test_what_a_cpu_has_not_is_not_missing_there_and_its_reason_is_given() -> None:
    visited = Visited()
    visited.count(Case(), CaseResult(()))
    gpu, cpu = visited.coverage("cuda"), visited.coverage("cpu")
    assert gpu.unreachable == {}
    assert (
        set(gpu.never_drawn) - set(cpu.never_drawn)
        == set(cpu.unreachable)
        == {"execution.mode=graph", "execution.mode=giant", "execution.stream=side"}
    )
    assert cpu.visited_pairs == gpu.visited_pairs
    assert cpu.pairs < gpu.pairs
    named = {*cpu.missing, *(other for others in cpu.missing.values() for other in others)}
    assert named.isdisjoint(cpu.unreachable)


def test_another_case_adds_its_classes() -> None:
    visited = Visited()
    visited.count(Case(), CaseResult(()))
    before = visited.coverage().visited_pairs
    visited.count(Case(weight=Weight(layout=Layout.IN_OUT)), CaseResult(()))
    coverage = visited.coverage()
    assert coverage.values["weight.layout"] == {"out_in": 1, "in_out": 1}
    assert coverage.visited_pairs == before + len(CLASSES) - 1
