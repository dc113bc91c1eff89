"""What means nothing on a device is made neutral there, and nothing else is."""

from __future__ import annotations

import dataclasses

from strategies import fields
from strategies.case import Case, CudaStream, Execution, Mode
from strategies.cases import cases, cases_in
from strategies.classes import CLASSES
from strategies.reach import UNREACHABLE, reachable, reaching, reasons
from tests.strategies.helpers import BUSY, draw

DRAWS = 300


def test_a_gpu_reaches_everything() -> None:
    assert not UNREACHABLE["cuda"]
    assert reachable(BUSY, "cuda") == BUSY
    strategy = cases()
    assert reaching(strategy, "cuda") is strategy


def test_a_cpu_has_neither_streams_nor_graphs() -> None:
    giant = ("execution.mode", Mode.GIANT)
    assert set(UNREACHABLE["cpu"]) == {("execution.mode", Mode.GRAPH), ("execution.stream", CudaStream.SIDE), giant}
    on_side = dataclasses.replace(BUSY, execution=dataclasses.replace(BUSY.execution, mode=Mode.GRAPH))
    neutral = dataclasses.replace(on_side.execution, mode=Mode.CALL, stream=CudaStream.DEFAULT)
    assert reachable(on_side, "cpu") == dataclasses.replace(on_side, execution=neutral)
    assert reachable(Case(), "cpu") == Case()
    other_mode = Case(execution=Execution(mode=Mode.BACKWARD))
    assert reachable(other_mode, "cpu") == other_mode


def test_what_is_drawn_for_a_cpu_is_the_same_without_them() -> None:
    drawn, reached = draw(cases(), DRAWS), draw(reaching(cases(), "cpu"), DRAWS)
    assert any(case.execution.stream is CudaStream.SIDE for case in drawn)
    assert reached == [fields.replace(case, "execution.stream", CudaStream.DEFAULT) for case in drawn]
    assert {case.execution.mode for case in draw(reaching(cases_in(Mode.GRAPH), "cpu"), 10)} == {Mode.CALL}


def test_a_run_without_giants_does_not_miss_them() -> None:
    assert reasons("cuda") == {}
    assert set(reasons("cuda", giant=False)) == {"execution.mode=giant"}
    assert reasons("cpu", giant=False) == reasons("cpu"), "where there can be none, that is the reason"


def test_reasons_are_named_by_classes_that_there_are() -> None:
    for device in UNREACHABLE:
        for name in reasons(device):
            field, _, value = name.partition("=")
            assert value in CLASSES[field]
            assert value != CLASSES[field][0], "what is neutral means something everywhere"
