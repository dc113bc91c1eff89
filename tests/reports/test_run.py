"""A run on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports.coverage import Coverage
from reports.finding import Finding, read_json
from reports.issue import write_issue
from reports.run import ReportsError, RunDirectory, RunRecord
from tests.reports.helpers import SYSTEM, finding, rich_finding


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
    record = RunRecord(
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
    RunDirectory(tmp_path).write_run(record)
    data = read_json(tmp_path / "run.json")
    assert data["format_version"] == 3
    assert (data["seed"], data["budget"], data["cases"], data["stop_reason"]) == (5, 60.0, 12, "running")
    assert data["system"] == SYSTEM
    assert data["findings"] == [{"signature": "s", "slug": "a"}]
    assert data["known"] == [known]
    assert data["unconfirmed"] == []
    assert data["warnings"] == ["Mind the gap."]
    assert data["coverage"] == {"values": {"bias": {"True": 3}}, "pairs": 0, "missing": {}, "arms": {}}
    assert RunRecord.from_json(data) == record


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
