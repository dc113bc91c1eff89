"""Reports directory, known issues and corpus, readable or not."""

from __future__ import annotations

import json
from pathlib import Path

from fuzz.doctor.files import known_files, reports_directory
from fuzz.doctor.line import Line, Mark
from strategies.case import Case

SYSTEM = {"bitsandbytes": "0.50.2", "device": "cpu"}
ROW = """[[issue]]
signature = "functional.matmul_4bit | matmul_4bit | wrong shape | triggers: activation.dtype=bfloat16"
link = "unreported"
versions = "{versions}"
reason = "a test"
cases = ["corpus/one.json"]
"""


def found(folder: Path, system: dict[str, str] | None = None) -> dict[str, Line]:
    return {line.subject: line for line in known_files(folder / "known.toml", folder / "corpus", system)}


def write(folder: Path, rows: str) -> None:
    (folder / "corpus").mkdir(exist_ok=True)
    for name in ("one", "two"):
        (folder / "corpus" / f"{name}.json").write_text(json.dumps(Case().to_json()), encoding="utf-8")
    (folder / "known.toml").write_text(rows, encoding="utf-8")


def test_rows_and_cases_are_counted_for_this_release(tmp_path: Path) -> None:
    write(tmp_path, ROW.format(versions=">=0.50") + ROW.format(versions="<0.50").replace("one.json", "two.json"))
    lines = found(tmp_path, SYSTEM)
    assert {line.mark for line in lines.values()} == {Mark.OK}
    assert lines["known issues"].text == "2 rows, 1 of them in force for this release and device"
    assert lines["corpus"].text == "2 Cases, 1 of them for this release and device"


def test_without_a_child_there_is_no_release_to_count_for(tmp_path: Path) -> None:
    write(tmp_path, ROW.format(versions=">=0.50"))
    assert [line.text for line in found(tmp_path).values()] == ["1 rows", "2 Cases"]


def test_an_expired_row_is_a_warning(tmp_path: Path) -> None:
    write(tmp_path, ROW.format(versions=">=0.50") + "expires = 2024-01-01\n")
    line = found(tmp_path, SYSTEM)["known issues"]
    assert line.mark is Mark.WARN
    assert line.text.endswith("and 1 expired: each makes a run red")


def test_what_cannot_be_read_stops_a_run(tmp_path: Path) -> None:
    write(tmp_path, "[[issue]]\n")
    (tmp_path / "corpus" / "two.json").write_text("[]", encoding="utf-8")
    lines = found(tmp_path, SYSTEM)
    assert all((line.mark, line.stops) == (Mark.NO, True) for line in lines.values())
    assert "issue 1: it lacks 'link'" in lines["known issues"].text
    assert "two.json is not a Case" in lines["corpus"].text


def test_a_folder_that_is_not_there_is_an_empty_corpus(tmp_path: Path) -> None:
    (tmp_path / "known.toml").write_text("", encoding="utf-8")
    line = found(tmp_path, SYSTEM)["corpus"]
    assert (line.mark, line.stops) == (Mark.WARN, False)
    assert str(tmp_path / "corpus") in line.text


def test_the_reports_directory_is_left_as_it_was(tmp_path: Path) -> None:
    assert reports_directory(tmp_path / "a" / "b").mark is Mark.OK
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    assert reports_directory(tmp_path).mark is Mark.OK
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]


def test_a_reports_directory_that_cannot_be_written_stops_a_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    line = reports_directory(tmp_path / "file" / "out")
    assert (line.mark, line.stops) == (Mark.NO, True)
    assert "cannot write to the reports directory" in line.text
