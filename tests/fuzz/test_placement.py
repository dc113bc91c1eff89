"""Where workers work, on machines that are made up."""

from __future__ import annotations

import os

import pytest

from fuzz import placement
from fuzz.placement import CHILDREN, CONTEXT, THREADS, VISIBLE, Place, described, environment_of, gpus

ROOM = 100 * 2**30


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four GPUs and 16 processors."""
    monkeypatch.setattr(placement, "free_memory", lambda: [ROOM] * 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, ("0", "1", "2", "3")),
        ("2,0", ("2", "0")),
        (" 2 , 3 ", ("2", "3")),
        ("GPU-5f,GPU-77", ("GPU-5f", "GPU-77")),
        ("1,-1,2", ("1",)),
        ("-1", ()),
        ("", ()),
    ],
)
def test_the_caller_says_which_gpus_there_are(visible: str | None, expected: tuple[str, ...]) -> None:
    assert gpus({} if visible is None else {VISIBLE: visible}, 4) == expected


def own(number: int, environment: dict[str, str], device: str = "auto") -> str | None:
    """What comes first among what a worker's children see."""
    changed = environment_of(Place(number, 6), environment, device).get(VISIBLE)
    return None if changed is None else changed.split(",")[0]


def test_workers_take_turns_among_the_gpus_that_are_visible() -> None:
    assert [own(number, {}) for number in range(6)] == ["0", "1", "2", "3", "0", "1"]
    assert [own(number, {VISIBLE: "GPU-5f,GPU-77"}) for number in range(4)] == ["GPU-5f", "GPU-77", "GPU-5f", "GPU-77"]


def test_the_other_gpus_stay_visible() -> None:
    assert environment_of(Place(1, 4), {VISIBLE: "3,5,7"}, "cuda")[VISIBLE] == "5,7,3"


@pytest.mark.parametrize(("environment", "device"), [({VISIBLE: "2"}, "cuda"), ({VISIBLE: ""}, "auto"), ({}, "cpu")])
def test_where_there_is_no_choice_nothing_is_changed(environment: dict[str, str], device: str) -> None:
    assert own(1, environment, device) is None


def test_without_nvml_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "free_memory", list)
    assert own(1, {}) is None


@pytest.mark.parametrize(("workers", "threads"), [(1, "16"), (4, "4"), (5, "3"), (40, "1")])
def test_the_processors_are_shared_out(workers: int, threads: str) -> None:
    assert environment_of(Place(0, workers), {}, "cpu") == {THREADS: threads}


def test_a_number_of_threads_that_the_caller_has_set_stays() -> None:
    assert THREADS not in environment_of(Place(0, 4), {THREADS: "7"}, "cpu")
    (line,) = described(4, {THREADS: "7"}, "cpu")
    assert line == "4 workers on the CPU; threads of the host for each of their children: 7"


def test_where_the_workers_work_is_said() -> None:
    assert list(described(6, {}, "auto")) == ["6 workers on 4 GPUs, 2 on each; threads of the host for each of their children: 2"]
    assert next(described(2, {VISIBLE: "3"}, "cuda")).startswith("2 workers on 1 GPU, 2 on each; ")
    assert next(described(1, {VISIBLE: ""}, "auto")).startswith("1 worker; ")


def test_what_cannot_be_known_without_nvml_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "free_memory", list)
    assert list(described(2, {VISIBLE: "0,1"}, "auto")) == ["2 workers; threads of the host for each of their children: 8"]


def test_more_workers_than_have_room_are_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "free_memory", lambda: [ROOM, 2 * CHILDREN * CONTEXT, ROOM, ROOM])
    assert len(list(described(8, {}, "cuda"))) == 1
    _, note = described(9, {}, "cuda")
    assert note.startswith("note: 3 workers on a GPU may take ")
    assert len(list(described(9, {VISIBLE: "0,2,3"}, "cuda"))) == 1, "a full GPU that is not ours does not matter"
    assert len(list(described(9, {VISIBLE: "GPU-5f,GPU-77,GPU-1a"}, "cuda"))) == 2, "which ones these are nobody knows"
