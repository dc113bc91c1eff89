"""What is new in a directory."""

from __future__ import annotations

import os
from pathlib import Path

from fuzz.fleet.changed import Changed
from reports.files import append_json_line, write_text


def test_each_change_once(tmp_path: Path) -> None:
    root = tmp_path / "reports"
    changed = Changed(root)
    assert changed.files() == {}
    write_text(root / "findings" / "x" / "finding.json", "1")
    append_json_line(root / "observations.jsonl", 1)
    assert changed.files() == {"findings/x/finding.json": "1", "observations.jsonl": "1\n"}
    assert changed.files() == {}
    append_json_line(root / "observations.jsonl", 2)
    assert changed.files() == {"observations.jsonl": "1\n2\n"}


def test_everything_is_new_after_an_answer_was_lost(tmp_path: Path) -> None:
    changed = Changed(tmp_path)
    (tmp_path / "run.json").write_text("x", encoding="utf-8")
    assert changed.files() == changed.files(whole=True) == {"run.json": "x"}
    assert changed.files() == {}


def test_a_file_that_was_replaced_by_one_of_the_same_length_has_changed(tmp_path: Path) -> None:
    changed = Changed(tmp_path)
    write_text(tmp_path / "run.json", "1")
    os.utime(tmp_path / "run.json", ns=(1, 1))
    assert changed.files() == {"run.json": "1"}
    write_text(tmp_path / "run.json", "2")
    assert changed.files() == {"run.json": "2"}


def test_files_that_are_being_written_and_pages_stay_where_they_are(tmp_path: Path) -> None:
    for name in (".run.json.abc", "index.html", "run.json"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    assert list(Changed(tmp_path).files()) == ["run.json"]
