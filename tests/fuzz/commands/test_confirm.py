"""`python -m fuzz confirm`: what it says, its exit statuses, and what it adds to a finding. A program stands in for the sanitizer."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fuzz.__main__ import main
from fuzz.commands import confirm as command
from fuzz.commands.confirm import Outcome
from fuzz.sanitizer import locate
from reports.finding import Finding, read_json
from reports.issue import write_issue
from reports.page import NAME
from reports.page.write import write_page
from reports.run import RunDirectory
from reports.sanitizer import ReportedError, SanitizerReport
from tests.fuzz.sanitizer import samples
from tests.fuzz.sanitizer.stub import Stub
from tests.reports.helpers import SYSTEM, finding
from tests.reports.page.runs import entry
from tests.reports.stored_runs import contents, record, write_run

FOUND = finding(system={**SYSTEM, "device": "cuda", "gpu": "NVIDIA H200"})
SHOWN = "import sys\nsys.exit(1)\n"
GEMM = ReportedError(kind="Invalid __global__ read of size 2 bytes, out of bounds", kernel="gemm<__half, (int)64>", count=2)
OUT_OF_BOUNDS = SanitizerReport(tool="memcheck", errors=769, reported=(GEMM,))
NO_RACE = SanitizerReport(tool="racecheck", errors=0)

Confirm = Callable[..., int]


@pytest.fixture
def confirm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Confirm:
    """Runs `confirm` on a machine with a driver, with `stub` in the sanitizer's place."""
    monkeypatch.setattr(command, "has_driver", lambda: True)

    def run(*arguments: object, stub: Stub | None = None) -> int:
        for name, value in (stub or Stub()).install(tmp_path / "bin").items():
            monkeypatch.setenv(name, value)
        return main(["confirm", *map(str, arguments), "--sanitizer", str(tmp_path / "bin" / "compute-sanitizer")])

    return run


def stored(root: Path, item: Finding = FOUND, script: str = SHOWN) -> Path:
    """The folder of a finding in the reports directory `root`."""
    directory = RunDirectory(root)
    directory.write_finding(item, script)
    return directory.folder(item)


def reports(folder: Path) -> tuple[SanitizerReport, ...]:
    return Finding.from_json(read_json(folder / "finding.json")).sanitizer


def test_what_is_reported_is_said_and_added_to_the_finding(tmp_path: Path, confirm: Confirm, capsys: pytest.CaptureFixture[str]) -> None:
    folder = stored(tmp_path / "out")
    stub = Stub(samples={"memcheck": samples.LIMITED, "racecheck": samples.WARNED_RACE})
    assert confirm(folder, stub=stub) == Outcome.REPORTED
    assert capsys.readouterr().out.splitlines() == [
        f"{folder}: memcheck: 769 errors: {GEMM.kind} in {GEMM.kernel}",
        f"{folder}: racecheck: no errors and 2 warnings: race between read and write accesses (warning) in RAW",
        f"{folder}: initcheck: no errors",
    ]
    assert [report.tool for report in reports(folder)] == ["memcheck", "racecheck", "initcheck"]
    assert reports(folder)[0] == OUT_OF_BOUNDS
    changed = dataclasses.replace(FOUND, sanitizer=reports(folder))
    assert Finding.from_json(read_json(folder / "finding.json")) == changed
    assert (folder / "issue.md").read_text(encoding="utf-8") == write_issue(changed, SHOWN)
    assert (folder / "repro.py").read_text(encoding="utf-8") == SHOWN


def test_nothing_reported_is_status_0(tmp_path: Path, confirm: Confirm) -> None:
    folder = stored(tmp_path / "out")
    assert confirm(folder / "finding.json", "--tools", "racecheck") == Outcome.NOTHING_REPORTED
    assert reports(folder) == (NO_RACE,)


def test_a_script_that_does_not_fail_may_not_have_shown_the_defect(
    tmp_path: Path, confirm: Confirm, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = stored(tmp_path / "out", script="")
    assert confirm(folder, "--tools", "memcheck") == Outcome.NOTHING_REPORTED
    assert capsys.readouterr().out.endswith("no errors; the script ended without an error, so that the defect may not have shown\n")


def test_a_report_takes_the_place_of_an_earlier_one_of_its_tool_only(tmp_path: Path, confirm: Confirm) -> None:
    item = dataclasses.replace(FOUND, sanitizer=(OUT_OF_BOUNDS, NO_RACE))
    folder = stored(tmp_path / "out", item)
    assert confirm(folder, "--tools", "memcheck") == Outcome.NOTHING_REPORTED
    assert reports(folder) == (SanitizerReport(tool="memcheck", errors=0), NO_RACE)


def test_what_cannot_run_loses_nothing(tmp_path: Path, confirm: Confirm, capsys: pytest.CaptureFixture[str]) -> None:
    folder = stored(tmp_path / "out", dataclasses.replace(FOUND, sanitizer=(OUT_OF_BOUNDS,)))
    before = contents(folder)
    assert confirm(folder, "--tools", "memcheck", stub=Stub(samples={"memcheck": samples.NOT_ATTACHED}, attaches=False)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{folder}: memcheck: could not run: it ended with exit status 255: Error: Target application terminated")
    assert contents(folder) == before


def test_one_tool_that_cannot_run_leaves_the_others_their_reports(tmp_path: Path, confirm: Confirm) -> None:
    folder = stored(tmp_path / "out")
    stub = Stub(samples={"memcheck": samples.LIMITED, "racecheck": samples.NOT_TRACKED})
    assert confirm(folder, "--tools", "racecheck,memcheck", stub=stub) == Outcome.COULD_NOT_RUN
    assert reports(folder) == (OUT_OF_BOUNDS,)


@pytest.mark.parametrize("named", [".", "findings"])
def test_a_reports_directory_is_all_of_its_findings_and_its_page(tmp_path: Path, confirm: Confirm, named: str) -> None:
    other = finding("gemv_4bit", system=FOUND.system)
    root = write_run(tmp_path / "out", [FOUND, other], run=record(findings=[entry(FOUND), entry(other)]))
    write_page(root)
    assert "Memory safety" not in (root / NAME).read_text(encoding="utf-8")
    paths = [root] if named == "." else sorted((root / named).iterdir())
    assert confirm(*paths, "--tools", "memcheck", stub=Stub(samples={"memcheck": samples.LIMITED})) == Outcome.REPORTED
    for item in (FOUND, other):
        (report,) = reports(RunDirectory(root).folder(item))
        assert report.errors == 769
    assert (root / NAME).read_text(encoding="utf-8").count("Memory safety") == 2


def test_a_copy_of_a_folder_is_written_where_it_is_and_no_page_is_made(tmp_path: Path, confirm: Confirm) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder = stored(tmp_path / "out").rename(tmp_path / "elsewhere" / "copy")
    (tmp_path / NAME).write_text("of something else", encoding="utf-8")
    assert confirm(folder, "--tools", "racecheck") == Outcome.NOTHING_REPORTED
    assert reports(folder) == (NO_RACE,)
    assert [file.read_text(encoding="utf-8") for file in tmp_path.rglob(NAME)] == ["of something else"]
    assert not list((tmp_path / "out").rglob("finding.json"))


def test_a_finding_of_the_cpu_and_one_without_a_script_cannot_run(
    tmp_path: Path, confirm: Confirm, capsys: pytest.CaptureFixture[str]
) -> None:
    of_cpu, bare = stored(tmp_path / "cpu", finding()), stored(tmp_path / "bare")
    (bare / "repro.py").unlink()
    case = tmp_path / "case.json"
    case.write_text(json.dumps(FOUND.case.to_json()), encoding="utf-8")
    assert confirm(of_cpu, bare, case, tmp_path / "nothing") == Outcome.COULD_NOT_RUN
    assert capsys.readouterr().err.splitlines() == [
        f"{of_cpu}: could not run: it was found on the CPU, and compute-sanitizer checks what runs on a GPU",
        f"{bare}: could not run: it has no repro.py",
        f"{case}: could not run: it is no finding's folder, and only a finding has a script",
        f"{tmp_path / 'nothing'}: could not run: cannot read {tmp_path / 'nothing' / 'finding.json'}: No such file or directory",
    ]


def test_without_a_driver_nothing_runs(
    tmp_path: Path, confirm: Confirm, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "has_driver", lambda: False)
    assert confirm(stored(tmp_path / "out")) == Outcome.COULD_NOT_RUN
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("could not run: there is no NVIDIA driver on this machine")


def test_without_a_sanitizer_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(locate, "find", lambda: None)
    assert main(["confirm", str(stored(tmp_path / "out"))]) == Outcome.COULD_NOT_RUN
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"could not run: there is no compute-sanitizer, {locate.missing()}; --sanitizer names one"


def test_a_folder_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, confirm: Confirm, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(folder: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(folder / "issue.md"))

    monkeypatch.setattr(command, "write_record", refuse)
    folder = stored(tmp_path / "out")
    assert confirm(folder, "--tools", "memcheck") == Outcome.COULD_NOT_RUN
    assert capsys.readouterr().err == f"{folder}: memcheck: could not write {folder / 'issue.md'}: Permission denied\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--tools", "memcheck,valgrind"], "'valgrind' is not one of memcheck, racecheck, initcheck"),
        (["--tools", ""], "'' is not one of"),
        (["--timeout", "soon"], "'soon' is not a duration"),
        (["--sanitizer", "README.md"], "'README.md' is no program that can be run"),
    ],
)
def test_options_that_are_wrong_are_named(capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["confirm", "somewhere", *arguments])
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err
