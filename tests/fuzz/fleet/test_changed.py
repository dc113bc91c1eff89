"""What is new in a directory."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from fuzz.fleet.changed import Changed
from reports.files import append_json_line, write_text


def test_each_change_once(tmp_path: Path) -> None:
    root = tmp_path / "reports"
    changed = Changed(root, 1000)
    assert changed.files() == ({}, True)
    write_text(root / "findings" / "x" / "finding.json", "1")
    append_json_line(root / "observations.jsonl", 1)
    assert changed.files() == ({"findings/x/finding.json": "1", "observations.jsonl": "1\n"}, True)
    assert changed.files() == ({}, True)
    append_json_line(root / "observations.jsonl", 2)
    assert changed.files() == ({"observations.jsonl": "1\n2\n"}, True)


def test_everything_is_new_after_an_answer_was_lost(tmp_path: Path) -> None:
    changed = Changed(tmp_path, 1000)
    (tmp_path / "run.json").write_text("x", encoding="utf-8")
    assert changed.files() == changed.files(whole=True) == ({"run.json": "x"}, True)
    assert changed.files() == ({}, True)


def test_a_file_that_was_replaced_by_one_of_the_same_length_has_changed(tmp_path: Path) -> None:
    changed = Changed(tmp_path, 1000)
    write_text(tmp_path / "run.json", "1")
    os.utime(tmp_path / "run.json", ns=(1, 1))
    assert changed.files()[0] == {"run.json": "1"}
    write_text(tmp_path / "run.json", "2")
    assert changed.files()[0] == {"run.json": "2"}


def test_files_that_are_being_written_and_pages_stay_where_they_are(tmp_path: Path) -> None:
    for name in (".run.json.abc", "index.html", "run.json"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    assert list(Changed(tmp_path, 1000).files()[0]) == ["run.json"]


def test_a_record_comes_after_what_it_names(tmp_path: Path) -> None:
    for name in ("run.json", "observations.jsonl", "findings/x/finding.json", "findings/x/repro.py", "findings/x/issue.md"):
        write_text(tmp_path / name, "x")
    changed = Changed(tmp_path, 1)
    names = []
    while files := changed.files()[0]:
        names += list(files)
    assert names.index("findings/x/finding.json") > max(names.index(f"findings/x/{name}") for name in ("repro.py", "issue.md"))
    assert names[-1] == "run.json"


@given(st.lists(st.integers(0, 30), max_size=8), st.integers(1, 40))
def test_all_of_it_comes_in_steps_of_so_many_characters(lengths: list[int], most: int) -> None:
    texts = {str(number): "x" * length for number, length in enumerate(lengths)}
    came: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        changed, complete = Changed(Path(folder), most), False
        while not complete:
            files, complete = changed.files()
            assert len(files) < 2 or sum(map(len, files.values())) <= most
            assert not files.keys() & came.keys()
            came |= files
    assert came == texts
