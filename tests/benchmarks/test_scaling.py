"""What workers have done, by their events, and the table of runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import scaling
from benchmarks.scaling import Scaled, main, scaled
from reports.events import FILE
from tests.reports.stored_runs import record


def write(root: Path, *events: tuple[str, str, float, int]) -> None:
    lines = [json.dumps(dict(zip(("worker", "event", "seconds", "cases"), event, strict=True))) for event in events]
    (root / FILE).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def test_each_worker_counts_for_its_own_time(tmp_path: Path) -> None:
    write(tmp_path, ("gw0", "started", 2.0, 0), ("gw1", "started", 6.0, 0), ("gw1", "finished", 26.0, 100), ("gw0", "finished", 27.0, 50))
    done = scaled(record(), tmp_path)
    assert done.rate == pytest.approx(100 / 20 + 50 / 25)
    assert done.ready == 6.0


def test_a_worker_that_died_or_never_drew_adds_nothing(tmp_path: Path) -> None:
    write(tmp_path, ("gw0", "started", 2.0, 0), ("gw1", "started", 3.0, 0), ("gw2", "started", 9.0, 0), ("gw2", "finished", 9.0, 0))
    assert scaled(record(), tmp_path).rate == 0.0


def test_the_table_compares_with_its_first_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[tuple[int, list[str]]] = []

    def measured(_: str, __: float, workers: int, visible: tuple[str, ...]) -> Scaled:
        asked.append((workers, list(visible)))
        return Scaled(record(cases=40 * workers), 10.0 * workers, 3.0)

    monkeypatch.setattr(scaling, "measure", measured)
    monkeypatch.setattr(scaling, "free_memory", lambda: [1] * 4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1,0")
    assert main(["--workers", "1", "2", "--gpus", "1", "2"]) == 0
    assert asked == [(1, ["3"]), (2, ["3"]), (2, ["3", "1"]), (4, ["3", "1"])]
    assert capsys.readouterr().out.splitlines()[-4:] == [
        "| 1 | 1 | 3 | 40 | 10 | 1.00 |",
        "| 1 | 2 | 3 | 80 | 20 | 2.00 |",
        "| 2 | 2 | 3 | 80 | 20 | 2.00 |",
        "| 2 | 4 | 3 | 160 | 40 | 4.00 |",
    ]


def test_more_gpus_than_there_are_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(scaling, "free_memory", lambda: [1])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert main(["--gpus", "1", "4"]) == 2
    assert capsys.readouterr().err == "could not measure: 1 GPUs are visible, and not 4\n"
