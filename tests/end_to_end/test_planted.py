"""Faults that are known beforehand are found, each once and no other; and none is found where there is none."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from reports.events import read_events
from reports.finding import Finding
from strategies.case import Case

from .commands import PROJECT, SEED, Ended, FuzzRun, environment, fuzz, fuzz_command, python
from .conftest import PLANTED_BUDGET, WATCHDOG
from .expected import NAMES, PLANTED, Planted

CLEAN_BUDGET = 30.0
LEAST_CASES = 50
"""Cases that a run has to get through in `CLEAN_BUDGET`; two slow cores do twenty times as many."""

planted_faults = pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)


def finding_of(run: FuzzRun, planted: Planted) -> tuple[Path, dict[str, Any]]:
    """The folder and the record of the one finding that a fault has become."""
    found = [item for item in run.findings.items() if (item[1]["path"], item[1]["symptom"], item[1]["how"]) == planted.kind]
    problem = f"the planted fault {planted.name!r} must be one finding {planted.kind}, there are {len(found)}"
    assert len(found) == 1, run.explain(problem)
    return found[0]


def test_a_correct_library_has_no_findings(tmp_path: Path) -> None:
    run = fuzz(tmp_path / "reports", CLEAN_BUDGET, watchdog=20)
    assert run.ended.status == 0, run.explain("nothing is wrong with the stand-in, so the exit status must be 0")
    record = run.record
    assert record["findings"] == [], run.explain("nothing is wrong with the stand-in, so there must be no finding")
    assert record["unconfirmed"] == [], run.explain("nothing is wrong with the stand-in, so nothing must be observed")
    assert record["system"]["bitsandbytes"].endswith("+standin"), run.explain("another bitsandbytes was fuzzed than the stand-in")
    assert record["stop_reason"] == "time", run.explain("a run ends because its time is up")
    assert record["seed"] == SEED, run.explain("the run used another seed than --fuzz-seed says")
    assert record["cases"] > LEAST_CASES, run.explain(f"only {record['cases']} cases in {CLEAN_BUDGET:g} s")
    late = run.ended.seconds - CLEAN_BUDGET
    assert late < 15, run.explain(f"the run ended {late:.0f} s after its budget of {CLEAN_BUDGET:g} s, 15 s are allowed")


def test_every_fault_is_one_finding_and_nothing_else_is(planted_run: FuzzRun) -> None:
    assert planted_run.ended.status == 1, planted_run.explain("new findings must end a run with exit status 1")
    found = Counter((item["path"], item["symptom"], item["how"]) for item in planted_run.findings.values())
    missing = [planted.name for planted in PLANTED if planted.kind not in found]
    assert not missing, planted_run.explain(f"not found: {', '.join(missing)}")
    wanted = Counter(planted.kind for planted in PLANTED)
    assert found == wanted, planted_run.explain(f"found beside the planted faults, or twice: {sorted(found - wanted)}")
    listed = sorted(entry["slug"] for entry in planted_run.record["findings"])
    folders = sorted(folder.name for folder in planted_run.findings)
    assert listed == folders, planted_run.explain(f"run.json lists {listed}, the folders are {folders}")


def test_the_run_with_faults_ends_in_time(planted_run: FuzzRun) -> None:
    assert planted_run.record["stop_reason"] == "time", planted_run.explain("a run ends because its time is up")
    late = planted_run.ended.seconds - PLANTED_BUDGET
    assert late < 30, planted_run.explain(f"the run ended {late:.0f} s after its budget of {PLANTED_BUDGET:g} s, 30 s are allowed")


@planted_faults
def test_a_fault_is_verified(planted_run: FuzzRun, planted: Planted) -> None:
    _, finding = finding_of(planted_run, planted)
    counts = f"{finding['reproduced']} of {finding['attempts']}"
    assert (finding["reproduced"], finding["attempts"]) == (3, 3), f"{planted.name} failed in {counts} fresh processes, it fails always"
    assert finding["script"]["exit_status"] == 1, f"repro.py of {planted.name} did not show the fault: {finding['script']}"
    assert finding["verified"] is True, f"{planted.name} failed every time and is not called verified"


@planted_faults
def test_a_fault_is_reduced_to_its_smallest_input(planted_run: FuzzRun, planted: Planted) -> None:
    _, finding = finding_of(planted_run, planted)
    reduced = Case.from_json(finding["case"])
    assert reduced in planted.minima, (
        f"{planted.name} was reduced to\n{reduced}\nafter {finding['trials']} trials (finished: {finding['minimal']}), smallest are\n"
        + "\n".join(map(str, planted.minima))
    )


@planted_faults
def test_a_finding_is_a_folder_of_three_files(planted_run: FuzzRun, planted: Planted) -> None:
    folder, finding = finding_of(planted_run, planted)
    assert sorted(file.name for file in folder.iterdir()) == ["finding.json", "issue.md", "repro.py"]
    assert Finding.from_json(finding).slug == folder.name, "finding.json belongs to another folder"
    script = (folder / "repro.py").read_text(encoding="utf-8")
    issue = (folder / "issue.md").read_text(encoding="utf-8")
    assert script.strip() in issue, "issue.md must quote repro.py, so that it can be filed as it is"


@pytest.mark.parametrize(("faults", "status"), [(NAMES, 1), ((), 0)], ids=["with the faults", "without them"])
def test_scripts_tell_whether_the_defect_is_there(planted_run: FuzzRun, faults: tuple[str, ...], status: int) -> None:
    scripts = [folder / "repro.py" for folder in planted_run.findings]
    # Two at once: the one that hangs only waits.
    with ThreadPoolExecutor(max_workers=2) as pool:
        ends: dict[str, Ended] = dict(
            zip((script.parent.name for script in scripts), pool.map(lambda script: python(script, faults=faults), scripts), strict=True)
        )
    wrong = {name: end for name, end in ends.items() if end.status != status}
    assert not wrong, f"these scripts must exit with {status} when PLANTED_FAULTS is {','.join(faults)!r}: {wrong}"


@pytest.mark.parametrize(
    ("faults", "status", "word"), [(NAMES, 1, "still there"), ((), 0, "gone")], ids=["with the faults", "without them"]
)
def test_replay_tells_whether_the_defect_is_there(planted_run: FuzzRun, faults: tuple[str, ...], status: int, word: str) -> None:
    folders = list(planted_run.findings)
    end = python("-m", "fuzz", "replay", *folders, "--device", "cpu", "--watchdog", "5s", faults=faults)
    assert end.status == status, f"replay must exit with {status} when PLANTED_FAULTS is {','.join(faults)!r}, it printed\n{end.output}"
    silent = [folder.name for folder in folders if f"{folder}: {word}" not in end.output]
    assert not silent, f"replay did not say {word!r} of {silent}, it printed\n{end.output}"


def test_a_killed_run_leaves_what_it_knew(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    kill_after_first_finding(reports)
    record = json.loads((reports / "run.json").read_text(encoding="utf-8"))
    assert record["stop_reason"] == "running", f"a killed run has not ended, its run.json says {record['stop_reason']!r}"
    lines = (reports / "observations.jsonl").read_text(encoding="utf-8").splitlines()
    observations = [json.loads(line) for line in lines]
    assert observations, "a finding was there when the run was killed, and observations.jsonl is empty"
    for observation in observations:
        Case.from_json(observation["case"])
        assert observation["verdict"]["symptom"], f"an observation without a symptom: {observation}"
    events = [json.loads(line)["event"] for line in read_events(reports)]
    assert events[:2] == ["started", "observed"], f"events are written as they come, there are {events}"
    assert "finished" not in events, "a killed run has not finished"
    for file in reports.glob("findings/*/finding.json"):
        finding = Finding.from_json(json.loads(file.read_text(encoding="utf-8")))
        assert finding.slug == file.parent.name, f"{file} is the record of another finding"


def kill_after_first_finding(reports: Path) -> None:
    """Start a run and kill it when its first finding is on disk and others are on their way."""
    command = fuzz_command(reports, budget=120, watchdog=WATCHDOG)
    with (reports.parent / "output.txt").open("w+", encoding="utf-8") as output:
        # A group of its own, because the children of a killed process are nobody's.
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environment(("value", "shape", "exception")), stdout=output, stderr=output, start_new_session=True
        )
        try:
            wait_for_finding(reports, process)
            process.kill()
            process.wait()
        except AssertionError as error:
            output.seek(0)
            pytest.fail(f"{error}\n--- output of the run:\n{output.read()}", pytrace=False)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_for_finding(reports: Path, process: subprocess.Popen[bytes]) -> None:
    """Return as soon as there is a finding."""
    deadline = time.monotonic() + 90
    while not list(reports.glob("findings/*/finding.json")):
        assert process.poll() is None, f"the run ended with exit status {process.returncode} before it could be killed"
        assert time.monotonic() < deadline, "no finding after 90 s"
        time.sleep(0.05)
