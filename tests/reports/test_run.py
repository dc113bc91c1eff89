"""A run on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reports.coverage import Coverage
from reports.finding import Finding, read_json
from reports.issue import write_issue
from reports.previous import Previous
from reports.run import ReportsError, RunDirectory, RunRecord
from reports.schema import RecordError
from reports.space import Space
from tests.reports.helpers import SYSTEM, finding, rich_finding
from tests.reports.stored_runs import record


def test_prepare_makes_the_directory_and_leaves_nothing_in_it(tmp_path: Path) -> None:
    RunDirectory(tmp_path / "a" / "b").prepare()
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_prepare_leaves_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "findings").mkdir()
    (tmp_path / "observations.jsonl").write_text("{}\n", encoding="utf-8")
    RunDirectory(tmp_path).prepare()
    assert (tmp_path / "observations.jsonl").read_text(encoding="utf-8") == "{}\n"
    assert {path.name for path in tmp_path.iterdir()} == {"findings", "observations.jsonl"}


@pytest.mark.parametrize("below", ["", "run", "run/deeper"])
def test_a_place_that_cannot_be_written_gives_one_sentence(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    root = tmp_path / "file" / below
    with pytest.raises(ReportsError) as caught:
        RunDirectory(root).prepare()
    message = str(caught.value)
    assert message.startswith(f"cannot write to the reports directory {root}: ")
    assert message.endswith(("Not a directory", "File exists"))
    assert "\n" not in message


def test_a_read_only_place_gives_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("reports.files.tempfile.mkstemp", refuse)
    with pytest.raises(ReportsError, match=r"^cannot write to the reports directory .*: Permission denied$"):
        RunDirectory(tmp_path).prepare()


def test_observations_are_lines_in_their_order(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    directory.prepare()
    directory.observe({"path": "gemv_4bit", "how": "a\nb"})
    directory.observe({"path": "matmul_4bit"})
    lines = (tmp_path / "observations.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["path"] for line in lines] == ["gemv_4bit", "matmul_4bit"]


def test_the_record_of_a_run(tmp_path: Path) -> None:
    known = {"title": "t", "link": "unreported", "reason": "r", "cases": 0, "state": "not met"}
    whole = RunRecord(
        system=SYSTEM,
        note="",
        seed=5,
        budget=60.0,
        cases=12,
        coverage=Coverage(values={"bias": {"True": 3}}),
        findings=[{"signature": "s", "slug": "a"}],
        known=[known],
        warnings=["Mind the gap."],
    )
    RunDirectory(tmp_path).write_run(whole)
    data = read_json(tmp_path / "run.json")
    assert data["format_version"] == 3
    assert (data["seed"], data["budget"], data["cases"], data["stop_reason"]) == (5, 60.0, 12, "running")
    assert data["system"] == SYSTEM
    assert data["findings"] == [{"signature": "s", "slug": "a"}]
    assert data["known"] == [known]
    assert data["unconfirmed"] == []
    assert data["warnings"] == ["Mind the gap."]
    assert data["coverage"] == {"values": {"bias": {"True": 3}}, "pairs": 0, "missing": {}, "arms": {}, "unreachable": {}}
    assert RunRecord.from_json(data) == whole


def test_a_finding_gets_a_folder_with_everything_that_is_needed_to_report_it(tmp_path: Path) -> None:
    directory, found = RunDirectory(tmp_path), rich_finding()
    directory.write_finding(found, "print(1)\n")
    folder = tmp_path / "findings" / found.slug
    assert directory.folder(found) == folder
    assert {path.name for path in folder.iterdir()} == {"repro.py", "issue.md", "finding.json"}
    assert (folder / "repro.py").read_text(encoding="utf-8") == "print(1)\n"
    assert (folder / "issue.md").read_text(encoding="utf-8") == write_issue(found, "print(1)\n")
    assert Finding.from_json(read_json(folder / "finding.json")) == found


def test_a_script_is_written_before_the_finding_is_known_to_be_verified(tmp_path: Path) -> None:
    path = RunDirectory(tmp_path).write_script(finding(), "print(2)\n")
    assert path == tmp_path / "findings" / finding().slug / "repro.py"
    assert path.read_text(encoding="utf-8") == "print(2)\n"


def test_hostile_text_is_written_and_read_back(tmp_path: Path) -> None:
    found = finding(how="../../x", got="\x00\r\n`` é \u2028", others={"a": "| \x1b[31m"})
    RunDirectory(tmp_path).write_finding(found, "print(1)\n")
    assert {path.name for path in tmp_path.iterdir()} == {"findings"}
    assert Finding.from_json(read_json(tmp_path / "findings" / found.slug / "finding.json")) == found


def test_what_came_later_is_read_back(tmp_path: Path) -> None:
    previous = Previous(date="2026-01-01T00:00:00+00:00", system=SYSTEM, findings=[{"signature": "s", "slug": "a", "cases": 2}])
    space = Space(cases={"rows": {"0": 3}}, failed={"rows": {"0": 1}})
    told = record(date="2026-01-02T00:00:00+00:00", throughput=[[0.0, 0], [0.5, 3]], space=space, previous=previous)
    RunDirectory(tmp_path).write_run(told)
    assert RunRecord.from_json(read_json(tmp_path / "run.json")) == told
    assert previous.signatures == {"s"}


def test_a_file_without_what_came_later_is_read(tmp_path: Path) -> None:
    RunDirectory(tmp_path).write_run(record())
    data = read_json(tmp_path / "run.json")
    for name in ("date", "throughput", "space", "previous"):
        del data[name]
    assert RunRecord.from_json(data) == record()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"date": 1}, "'date' of the run is not text"),
        ({"throughput": [[1.0]]}, "an item of 'throughput' of the run is not a pair of numbers"),
        ({"throughput": [["1", 2]]}, "an item of an item of 'throughput' of the run is not a finite number"),
        ({"space": []}, "'space' of the run is not a JSON object"),
        ({"space": {}}, "'space' of the run lacks 'cases'"),
        ({"previous": {}}, "'previous' of the run lacks 'date'"),
        ({"previous": {"date": "", "system": {}, "findings": [{}]}}, "an item of 'findings' of 'previous' of the run lacks 'signature'"),
    ],
)
def test_what_is_malformed_of_it_is_one_sentence(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    RunDirectory(tmp_path).write_run(record())
    with pytest.raises(RecordError, match=f"^{sentence}$"):
        RunRecord.from_json(read_json(tmp_path / "run.json") | changes)


def test_a_run_leaves_its_findings_to_the_next_one(tmp_path: Path) -> None:
    assert RunDirectory(tmp_path).previous() is None
    RunDirectory(tmp_path).write_run(record(date="yesterday", findings=[{"signature": "s"}]))
    assert RunDirectory(tmp_path).previous() == Previous(date="yesterday", system=SYSTEM, findings=[{"signature": "s"}])


def test_a_run_that_was_killed_leaves_what_it_was_left(tmp_path: Path) -> None:
    before = Previous(date="yesterday", findings=[{"signature": "s"}])
    RunDirectory(tmp_path).write_run(record(stop_reason="running", previous=before))
    assert RunDirectory(tmp_path).previous() == before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format_version": 2}', "\xff"])
def test_a_run_that_cannot_be_read_leaves_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text, encoding="latin-1")
    assert RunDirectory(tmp_path).previous() is None
