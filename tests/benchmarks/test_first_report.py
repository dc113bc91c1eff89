"""How long a report is waited for, and which one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks import first_report
from benchmarks.first_report import Defect, Waited, main, wait
from reports.run import RunDirectory
from tests.benchmarks.running import Scripted
from tests.reports.helpers import finding
from tests.reports.stored_runs import record

SHAPE = Defect("matmul_4bit", "wrong shape")


def writes(root: Path, **changes: Any) -> RunDirectory:
    directory = RunDirectory(root)
    found = finding(**{"symptom": "wrong shape", **changes})
    directory.observe({"verdict": {"path": found.path, "symptom": found.symptom}})
    directory.write_finding(found, "")
    return directory


def test_a_verified_report_of_the_defect_is_one(tmp_path: Path) -> None:
    assert not SHAPE.seen(tmp_path)
    assert not SHAPE.reported(tmp_path)
    writes(tmp_path)
    assert SHAPE.seen(tmp_path)
    assert SHAPE.reported(tmp_path)


@pytest.mark.parametrize("changes", [{"symptom": "wrong value"}, {"path": "gemm_4bit_op"}])
def test_another_defect_is_none(tmp_path: Path, changes: dict[str, str]) -> None:
    writes(tmp_path, **changes)
    assert not SHAPE.seen(tmp_path)
    assert not SHAPE.reported(tmp_path)


@pytest.mark.parametrize("changes", [{"reproduced": 2}, {"minimal": False}])
def test_what_is_not_verified_is_not_waited_for(tmp_path: Path, changes: dict[str, Any]) -> None:
    writes(tmp_path, **changes)
    assert SHAPE.seen(tmp_path)
    assert not SHAPE.reported(tmp_path)


def test_half_a_line_is_no_observation(tmp_path: Path) -> None:
    (tmp_path / "observations.jsonl").write_text('{"verdict": {"path": "matmul', encoding="utf-8")
    assert not SHAPE.seen(tmp_path)


SCRIPT = """
import shutil, time
time.sleep(0.3)
shutil.copytree({source!r}, "reports")
time.sleep(60)
"""


def test_a_run_is_over_when_its_report_is_there(tmp_path: Path) -> None:
    writes(tmp_path / "source").write_run(record(cases=12))
    began = time.monotonic()
    waited = wait(Scripted(SCRIPT.format(source=str(tmp_path / "source"))), SHAPE)  # type: ignore[arg-type]
    assert waited.reported is not None
    assert waited.seen is not None
    assert 0.3 < waited.seen <= waited.reported < time.monotonic() - began
    assert waited.run.cases == 12


def test_a_run_that_ends_without_a_report_has_none(tmp_path: Path) -> None:
    RunDirectory(tmp_path / "source").write_run(record(cases=12))
    waited = wait(Scripted(f"import shutil; shutil.copytree({str(tmp_path / 'source')!r}, 'reports')"), SHAPE)  # type: ignore[arg-type]
    assert (waited.seen, waited.reported) == (None, None)


@pytest.mark.parametrize(("second", "status"), [(8.0, 0), (None, 1)])
def test_the_table_and_the_status_say_how_many_were_reported(
    second: float | None, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter([Waited(1.0, 4.0, record(cases=5)), Waited(2.0, second, record(cases=6))])
    monkeypatch.setattr(first_report, "wait", lambda *_: next(answers))
    assert main(["--count", "2"]) == status
    said = capsys.readouterr().out
    assert "| 0 | 1.0 | 4.0 | 5 |" in said
    assert ("| 1 | 2.0 | 8.0 | 6 |" if second else "| 1 | 2.0 | not | 6 |") in said
    assert ("2 of 2 reported; median 6.0 s, longest 8.0 s" if second else "1 of 2 reported; median 4.0 s") in said


def test_a_directory_without_the_library_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--site", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"could not measure: {tmp_path} does not contain the package bitsandbytes\n"
