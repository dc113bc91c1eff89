"""A reader sees the old file or the new one, never half of one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from reports.files import append_json_line, write_json, write_text

HALF = "half\ud800"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_write_text_makes_folders_and_keeps_every_character(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "issue.md"
    write_text(path, "größer\r\nthan \u2028 this\n")
    assert path.read_bytes() == "größer\r\nthan \u2028 this\n".encode()
    assert names(path.parent) == {"issue.md"}


def test_write_text_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_text(path, "a long old text")
    write_text(path, "new")
    assert path.read_text(encoding="utf-8") == "new"


def test_others_may_read_the_file(tmp_path: Path) -> None:
    write_text(tmp_path / "run.json", "")
    assert (tmp_path / "run.json").stat().st_mode & 0o777 == 0o644


def test_half_a_character_is_written_as_an_escape_and_read_back(tmp_path: Path) -> None:
    """An exception's message may contain one, and must not end the run."""
    write_text(tmp_path / "text", HALF)
    assert (tmp_path / "text").read_text(encoding="utf-8") == "half\\ud800"
    write_json(tmp_path / "json", [HALF])
    assert json.loads((tmp_path / "json").read_text(encoding="utf-8")) == [HALF]
    append_json_line(tmp_path / "lines", HALF)
    assert json.loads((tmp_path / "lines").read_text(encoding="utf-8")) == HALF


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    write_text(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == {"run.json"}


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r".+"):
        write_text(tmp_path / "file" / "run.json", "")


def test_write_json_reads_back(tmp_path: Path) -> None:
    data = {"gpu": "Größe", "numbers": [1, 2.5, None], "nested": {"a": True}}
    write_json(tmp_path / "run.json", data)
    text = (tmp_path / "run.json").read_text(encoding="utf-8")
    assert json.loads(text) == data
    assert "Größe" in text
    assert text.endswith("}\n")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_what_is_no_json_is_refused_and_leaves_the_old_file(tmp_path: Path, value: object) -> None:
    path = tmp_path / "run.json"
    write_json(path, 1)
    with pytest.raises((ValueError, TypeError)):
        write_json(path, {"value": value})
    assert json.loads(path.read_text(encoding="utf-8")) == 1


def test_lines_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "observations.jsonl"
    append_json_line(path, {"how": "two\nlines"})
    append_json_line(path, {"how": "ü"})
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [{"how": "two\nlines"}, {"how": "ü"}]


def test_a_line_that_is_no_json_leaves_no_half_line(tmp_path: Path) -> None:
    path = tmp_path / "observations.jsonl"
    append_json_line(path, 1)
    with pytest.raises(ValueError, match="JSON"):
        append_json_line(path, float("nan"))
    assert path.read_text(encoding="utf-8") == "1\n"


def test_a_line_after_half_a_line_is_whole(tmp_path: Path) -> None:
    """A writer that is killed may leave half a line."""
    path = tmp_path / "lines.jsonl"
    append_json_line(path, {"a": 1})
    with path.open("a", encoding="utf-8") as file:
        file.write('{"b": ')
    append_json_line(path, {"c": "ä"})
    append_json_line(path, {"d": 4})
    assert path.read_text(encoding="utf-8").splitlines() == ['{"a": 1}', '{"b": ', '{"c": "ä"}', '{"d": 4}']
