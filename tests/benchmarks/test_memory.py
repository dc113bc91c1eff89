"""Memory of processes, as the system says it, and what is made of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import memory
from benchmarks.memory import Sample, descendants, growth, main, resident, samples
from reports.run import RunDirectory
from tests.benchmarks.running import Scripted
from tests.reports.stored_runs import record

NESTED = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=sys.stdin)
print(child.pid, flush=True)
child.wait()
"""


def test_a_process_has_memory_while_it_lives() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert resident(process.pid) > 0
    process.communicate(b"\n")
    assert resident(process.pid) == 0


def test_more_memory_is_more() -> None:
    before = resident(os.getpid())
    much = bytearray(os.urandom(1)) * (64 * 2**20)
    assert resident(os.getpid()) - before > 48 * 1024
    assert len(much)


def test_children_of_children_are_descendants() -> None:
    with subprocess.Popen([sys.executable, "-c", NESTED], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        inner = int(process.stdout.readline())
        assert descendants(process.pid) == {inner}
        assert {process.pid, inner} <= descendants(os.getpid())
        process.communicate(b"\n")
    assert not {process.pid, inner} & descendants(os.getpid())


SCRIPT = """
import shutil, subprocess, sys, time
shutil.copytree({source!r}, "reports")
child = subprocess.Popen([sys.executable, "-c", "import time; much = bytearray(64 * 2**20); time.sleep(1.5)"])
child.wait()
"""


def test_samples_are_taken_until_a_run_ends(tmp_path: Path) -> None:
    RunDirectory(tmp_path / "source").write_run(record(cases=12))
    taken = list(samples(Scripted(SCRIPT.format(source=str(tmp_path / "source"))), tmp_path, 0.3))  # type: ignore[arg-type]
    assert len(taken) >= 2
    assert {sample.cases for sample in taken} == {12}
    assert max(sample.child for sample in taken) > 64 * 1024 > min(sample.parent for sample in taken) > 0


def test_growth_is_in_percent() -> None:
    assert growth(200, 210) == pytest.approx(5.0)
    assert growth(200, 150) == pytest.approx(-25.0)
    assert growth(0, 10) == 0.0


@pytest.mark.parametrize(("parent", "status"), [(104_000, 0), (120_000, 1)])
def test_growth_is_judged_between_the_two_points(
    parent: int, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What happens before the first and after the last one does not count."""
    taken = [(5, 10, 50_000), (10, 20, 100_000), (20, 40, parent), (30, 50, 900_000)]
    monkeypatch.setattr(memory, "samples", lambda *_: (Sample(seconds, cases, kib, 2048) for seconds, cases, kib in taken))
    monkeypatch.setattr(memory, "record", lambda _: record())
    assert main(["--from", "10s", "--to", "25s"]) == status
    said = capsys.readouterr().out
    assert "| 20 | 40 |" in said
    assert f"from 10 to 20 s, in 20 Cases: parent +{parent / 1000 - 100:.1f} %, child +0.0 %" in said


def test_without_two_samples_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(memory, "samples", lambda *_: iter(()))
    assert main([]) == 2
    assert capsys.readouterr().err == "could not measure: there are not two samples to compare\n"
