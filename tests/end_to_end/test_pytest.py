"""`pytest fuzz/` behaves as people who use pytest expect: its options, Ctrl-C, several workers, CI."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from reports.events import read_events

from .commands import EVERYTHING, MAIN_PROPERTY, PROJECT, SEED, Ended, FuzzRun, environment, fuzz_command, run

FAULTS: Final = ("shape", "exception")
STOPPED: Final = 60.0
"""Seconds that Ctrl-C may take on a machine that is busy with other tests; alone it is two."""


def events(reports: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in read_events(reports)]


def small(reports: Path, *options: str, faults: tuple[str, ...] = (), target: str = EVERYTHING) -> FuzzRun:
    """A run of a few Cases."""
    command = [*fuzz_command(reports, budget=150, watchdog=20, target=target), "--fuzz-cases", "40", *options]
    return FuzzRun(run(command, faults), reports)


def alive(group: int) -> list[int]:
    """The processes of a group; those that have ended and whose parent has not asked how do not count."""
    numbers = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, of = file.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[:3]
            numbers += [int(file.parent.name)] if int(of) == group and state != "Z" else []
    return numbers


def interrupted(reports: Path, reached: Callable[[Path], bool], *options: str) -> Ended:
    """A run that gets SIGINT, as Ctrl-C sends it to all processes of a terminal, as soon as `reached` holds."""
    command = [*fuzz_command(reports, budget=150, watchdog=20, target=MAIN_PROPERTY), *options]
    log = reports.parent / "output.txt"
    began = time.monotonic()
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(command, cwd=PROJECT, env=environment(FAULTS), stdout=output, stderr=output, start_new_session=True)
        try:
            while not reached(reports):
                assert process.poll() is None, f"the run ended before it could be interrupted:\n{log.read_text(encoding='utf-8')}"
                assert time.monotonic() - began < 140, f"nothing to interrupt:\n{log.read_text(encoding='utf-8')}"
                time.sleep(0.05)
            os.killpg(process.pid, signal.SIGINT)
            status = process.wait(STOPPED)
            while alive(process.pid):
                assert time.monotonic() - began < 140 + STOPPED, f"processes of the run live on: {alive(process.pid)}"
                time.sleep(0.05)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return Ended(status, log.read_text(encoding="utf-8"), time.monotonic() - began)


def started(reports: Path) -> bool:
    return (reports / "run.json").exists()


def observed(reports: Path) -> bool:
    return (reports / "observations.jsonl").exists()


def found(reports: Path) -> bool:
    return bool(list(reports.glob("findings/*/finding.json")))


@pytest.mark.parametrize("reached", [started, observed, found], ids=lambda reached: reached.__name__)
def test_ctrl_c_ends_with_a_report(tmp_path: Path, reached: Callable[[Path], bool]) -> None:
    done = FuzzRun(interrupted(tmp_path / "reports", reached), tmp_path / "reports")
    assert done.ended.status == pytest.ExitCode.INTERRUPTED, done.explain("pytest ends with status 2 after Ctrl-C")
    assert done.record["stop_reason"] == "interrupted"
    for words in ("stopped: interrupted; seed", "new findings,", "KeyboardInterrupt"):
        assert words in done.ended.output, done.explain(f"the summary is to be printed: {words!r} is missing")
    assert "Traceback" not in done.ended.output, done.explain("no process is to complain")
    names = [event["event"] for event in events(done.reports)]
    assert (names[0], names[-1]) == ("started", "finished")
    if reached is observed:
        (entry, *_) = done.record["unconfirmed"]
        assert entry["reason"] == "seen, but the run ended before it was confirmed", done.explain("what was announced is lost")
    if reached is found:
        signatures = {entry["signature"] for entry in done.record["findings"]}
        assert {item["signature"] for item in done.findings.values() if item["verified"]} == signatures, done.explain("a finding is lost")


def test_ctrl_c_with_workers_ends_with_a_report(tmp_path: Path) -> None:
    def found_by_a_worker(reports: Path) -> bool:
        return bool(list(reports.glob("parts/*/*/findings/*/finding.json")))

    done = FuzzRun(interrupted(tmp_path / "reports", found_by_a_worker, "-n", "1"), tmp_path / "reports")
    assert done.ended.status == pytest.ExitCode.INTERRUPTED, done.explain("pytest ends with status 2 after Ctrl-C")
    assert done.record["stop_reason"] == "interrupted"
    assert done.record["findings"], done.explain("a finding is lost")
    assert "stopped: interrupted; seed" in done.ended.output, done.explain("the controller prints the summary")
    assert not (done.reports / "parts").exists()


def test_options_of_pytest_mean_what_they_mean_elsewhere(tmp_path: Path) -> None:
    """-q prints no progress, -x stops at the first finding and loses none, --junitxml has what was told."""
    file = tmp_path / "junit.xml"
    options = ("-q", "-x", "--junitxml", str(file), "--fuzz-cases", "100")  # of which a tenth fit Linear4bit
    done = small(tmp_path / "reports", *options, faults=FAULTS, target=MAIN_PROPERTY)
    assert done.ended.status == pytest.ExitCode.TESTS_FAILED, done.explain("there is a fault")
    for words in ("cases/s", "observed after"):
        assert words not in done.ended.output, done.explain("-q is quiet")
    assert "!! stopping after" in done.ended.output, done.explain("-x stops")
    assert done.ended.output.count("SUBFAILED[") == 1, done.explain("at the first finding")
    assert "2 new findings" in done.ended.output, done.explain("the summary has all of them")
    assert len(done.record["findings"]) == 2
    (suite,) = ET.fromstring(file.read_text(encoding="utf-8"))  # noqa: S314 - pytest's own
    slugs = [entry["slug"] for entry in done.record["findings"]]
    texts = [failure.text or "" for failure in suite.iter("failure")]
    assert any(slug in text for slug in slugs for text in texts), texts


def test_a_property_can_be_chosen_by_name(tmp_path: Path) -> None:
    done = small(tmp_path / "reports", "-k", "relations")
    assert done.ended.status == pytest.ExitCode.OK, done.explain("nothing is wrong with the stand-in")
    others = len(list((PROJECT / "fuzz").glob("test_*.py"))) - 1
    assert f"{others} deselected" in done.ended.output
    assert done.record["stop_reason"] == "cases"


def test_without_a_property_nothing_is_called_interrupted(tmp_path: Path) -> None:
    done = small(tmp_path / "reports", target="fuzz/test_known_issues.py")
    assert done.ended.status == pytest.ExitCode.OK
    assert done.record["stop_reason"] == "nothing to draw"


def test_workers_of_xdist_are_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each worker is a session of its own, and whoever wrote last would have won."""
    page = tmp_path / "page.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    reports = tmp_path / "reports"
    command = [*fuzz_command(reports, budget=150, watchdog=20, target=MAIN_PROPERTY), "fuzz/test_known_issues.py"]
    done = FuzzRun(run([*command, "--fuzz-cases", "40", "-n", "2"], faults=("shape",)), reports)
    assert done.ended.status == pytest.ExitCode.TESTS_FAILED, done.explain("there is a fault")
    (entry,) = done.record["findings"]
    assert "| wrong shape |" in entry["signature"]
    assert f"findings/{entry['slug']}" in done.ended.output, done.explain("the controller prints the summary")
    assert done.record["stop_reason"] == "cases"
    assert not (reports / "parts").exists()
    assert (reports / "findings" / entry["slug"] / "repro.py").is_file()
    assert {event.get("worker") for event in events(reports)} == {"gw0", "gw1"}
    seeds = {event["worker"]: event["seed"] for event in events(reports) if event["event"] == "started"}
    assert seeds == {"gw0": SEED, "gw1": SEED + 1}, "each draws something else, and all of it can be drawn again"
    assert 40 <= done.record["cases"] <= 42, done.explain("the Cases are shared")
    assert "2 workers on the CPU" in done.ended.output, done.explain("the controller says where they work")
    assert done.ended.output.count("\n::error title=") == 1, done.explain("an annotation for the finding")
    assert page.read_text(encoding="utf-8").count("## bnb4-fuzz") == 1
