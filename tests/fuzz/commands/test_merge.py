"""`python -m fuzz merge`: what it prints and returns. What it writes is tested with `reports.merge`."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.__main__ import main
from reports import files
from tests.reports.helpers import SYSTEM, finding
from tests.reports.stored_runs import of, record, sized, unverified, write_run


def test_a_line_for_each_finding_and_one_for_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = sized(2, observed=4, system={**SYSTEM, "bitsandbytes": "0.49.2"})
    one = write_run(tmp_path / "a", [sized(8, observed=1)], [of(sized(8))], record())
    two = write_run(tmp_path / "b", [elsewhere, unverified(finding("gemv_4bit", "hang", model=None, observed=1))], run=record(cases=1))
    assert main(["merge", str(one), str(two), "--into", str(tmp_path / "m")]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.splitlines() == [
        f"finding: {elsewhere.signature}  [5 cases on 2 systems]",
        f"not verified: {finding('gemv_4bit', 'hang', model=None).signature}  [1 case on 1 system]",
        f"2 directories merged into {tmp_path / 'm'}: 1 finding, 1 unconfirmed, 11 cases",
        f"page: {tmp_path / 'm' / 'index.html'}",
    ]
    assert elsewhere.slug in (tmp_path / "m" / "index.html").read_text(encoding="utf-8")
    assert (tmp_path / "m" / "findings" / elsewhere.slug / "issue.md").is_file()


def test_a_defect_that_one_type_of_gpu_shows_is_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = ({**SYSTEM, "device": "cuda", "gpu": name} for name in ("NVIDIA H200", "Tesla T4"))
    item = finding(system=ours)
    one = write_run(tmp_path / "a", [item], run=record(system=ours))
    two = write_run(tmp_path / "b", run=record(system=theirs, paths={item.path: 30}))
    assert main(["merge", str(one), str(two), "--into", str(tmp_path / "m")]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"finding: {item.signature}  [17 cases on 1 system, NVIDIA H200 only]"
    assert '<span class="tag">NVIDIA H200 only</span>' in (tmp_path / "m" / "index.html").read_text(encoding="utf-8")


def test_what_cannot_be_read_is_a_warning_and_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_run(tmp_path / "a", [sized(2)], [of(sized(2))])
    with (root / "observations.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"seed": 5, "case": {"form')
    assert main(["merge", str(root), "--into", str(tmp_path / "m")]) == 0
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        f"warning: {root} has no run.json, so that its Cases are not counted",
        f"warning: {root / 'observations.jsonl'}, line 2, is not an observation and is left out: its writer was killed, perhaps",
    ]
    assert captured.out.splitlines()[-2] == f"1 directory merged into {tmp_path / 'm'}: 1 finding, 0 unconfirmed, 0 cases"


@pytest.mark.parametrize("place", ["nowhere", "empty", "file"])
def test_a_directory_that_is_none_of_a_run_is_one_sentence_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    root = write_run(tmp_path / "a", [sized(2)], run=record())
    assert main(["merge", str(root), str(tmp_path / place), "--into", str(tmp_path / "m")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    sentence = "is no reports directory: it has neither run.json nor findings nor observations.jsonl"
    assert captured.err == f"could not merge: {tmp_path / place} {sentence}\n"
    assert not (tmp_path / "m").exists()


def test_a_disk_that_is_full_is_one_sentence_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_run(tmp_path / "a", [sized(2)], run=record())
    (tmp_path / "m").mkdir()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)  # type: ignore[attr-defined]
    assert main(["merge", str(root), "--into", str(tmp_path / "m")]) == 2
    assert capsys.readouterr().err == (
        f"could not merge: cannot write to the reports directory {tmp_path / 'm'}: No space left on device\n"
    )


@pytest.mark.parametrize("arguments", [["--into", "m"], ["a"], []])
def test_directories_and_a_place_are_needed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["merge", *arguments])
    assert ended.value.code == 2
    assert "required" in capsys.readouterr().err
