"""Running a script under the sanitizer: options, time, and what comes of each way to end."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from fuzz.sanitizer.run import SanitizerUnusableError, Tool, command, run
from reports.sanitizer import ReportedError, SanitizerReport
from tests.fuzz.sanitizer import samples
from tests.fuzz.sanitizer.stub import Stub

SCRIPT = "import sys, time\nprint('got: 3')\ntime.sleep(60 if 'sleep' in sys.argv else 0)\nsys.exit({status})\n"
OUT_OF_BOUNDS = ReportedError(kind="Invalid __global__ read of size 2 bytes, out of bounds", kernel="gemm<__half, (int)64>", count=2)


class Bench:
    """A folder with a script and a sanitizer."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.script = folder / "repro.py"
        self._patch = monkeypatch

    def run(self, stub: Stub, *, status: int = 1, tool: Tool = Tool.MEMCHECK, limit: float = 60.0) -> SanitizerReport:
        """What is made of `stub`, for a script that ends with `status`."""
        for name, value in stub.install(self.folder).items():
            self._patch.setenv(name, value)
        self.script.write_text(SCRIPT.format(status=status), encoding="utf-8")
        return run(self.folder / "compute-sanitizer", tool, self.script, limit)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("tool", Tool)
def test_each_tool_takes_its_options_and_tensors_have_their_own_allocations(bench: Bench, tmp_path: Path, tool: Tool) -> None:
    assert bench.run(Stub(record=str(tmp_path / "runs")), tool=tool).tool == tool.value
    (line,) = lines(tmp_path / "runs")
    assert line.pop("process")
    expected = {"tool": tool.value, "limit": 5, "backtrace": "device", "script": [str(bench.script.resolve())], "caching": "1"}
    assert line == expected


def test_failed_calls_of_the_cuda_api_are_not_asked_for_and_allocations_are_padded(tmp_path: Path) -> None:
    script = tmp_path / "repro.py"
    script.write_text("", encoding="utf-8")
    options = command(Path("compute-sanitizer"), Tool.MEMCHECK, script)
    assert options[options.index("--report-api-errors") + 1] == "no"
    assert int(options[options.index("--padding") + 1]) > 0
    assert "--padding" not in command(Path("compute-sanitizer"), Tool.RACECHECK, script)


def test_a_script_with_a_second_process_is_run_as_that_one(tmp_path: Path) -> None:
    script = tmp_path / "repro.py"
    script.write_text('if "--call" in sys.argv:\n    call()\n', encoding="utf-8")
    assert command(Path("compute-sanitizer"), Tool.MEMCHECK, script)[-2:] == [str(script.resolve()), "--call"]


@pytest.mark.parametrize(("status", "failed"), [(1, True), (0, False), (3, True)])
def test_errors_are_reported_whatever_the_script_ends_with(bench: Bench, status: int, *, failed: bool) -> None:
    report = bench.run(Stub(samples={"memcheck": samples.LIMITED}), status=status)
    assert report == SanitizerReport(tool="memcheck", errors=769, reported=(OUT_OF_BOUNDS,), failed=failed)


def test_nothing_is_a_report_too(bench: Bench) -> None:
    assert bench.run(Stub()) == SanitizerReport(tool="memcheck", errors=0)


def test_a_race_is_an_error_or_a_warning(bench: Bench) -> None:
    race = bench.run(Stub(samples={"racecheck": samples.RACE}), tool=Tool.RACECHECK)
    warned = bench.run(Stub(samples={"racecheck": samples.WARNED_RACE}), tool=Tool.RACECHECK)
    assert (race.errors, race.warnings) == (1, 0)
    assert (warned.errors, warned.warnings) == (0, 2)


@pytest.mark.parametrize(
    ("stub", "sentence"),
    [
        (Stub(samples={"memcheck": samples.NOT_ATTACHED}, attaches=False), "exit status 255: Error: Target application terminated before"),
        (Stub(samples={"memcheck": ""}, attaches=False), "it ended with exit status 255: it printed no summary"),
        (Stub(samples={"memcheck": samples.NOT_TRACKED}), "Internal Sanitizer Error"),
    ],
)
def test_what_says_nothing_about_the_script_is_no_report(bench: Bench, stub: Stub, sentence: str) -> None:
    with pytest.raises(SanitizerUnusableError, match=sentence):
        bench.run(stub)


def test_a_sanitizer_that_cannot_be_started(bench: Bench, tmp_path: Path) -> None:
    bench.run(Stub())
    (tmp_path / "compute-sanitizer").chmod(0o644)
    with pytest.raises(SanitizerUnusableError, match="compute-sanitizer cannot be run: Permission denied"):
        run(tmp_path / "compute-sanitizer", Tool.MEMCHECK, bench.script, 60.0)


def test_what_does_not_end_is_ended_with_all_that_it_started(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(SanitizerUnusableError, match=r"did not end within 3 s; --timeout gives it more"):
        bench.run(Stub(samples={"memcheck": samples.CLEAN}, hangs=True, record=str(tmp_path / "runs")), limit=3.0)
    (line,) = lines(tmp_path / "runs")
    deadline = time.monotonic() + 10.0
    while _alive(line["process"]):
        assert time.monotonic() < deadline, "the script outlives its sanitizer"
        time.sleep(0.02)


def test_what_was_found_before_time_was_up_is_reported(bench: Bench) -> None:
    report = bench.run(Stub(samples={"memcheck": samples.LIMITED}, hangs=True), limit=3.0)
    assert report == SanitizerReport(tool="memcheck", errors=2, reported=(OUT_OF_BOUNDS,), complete=False)


def _alive(process: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
