"""`python -m reports page`: what it prints and returns."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports import files
from reports.__main__ import main
from tests.reports.stored_runs import record, write_run


def test_the_page_is_written_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, run=record())
    assert main(["page", str(tmp_path)]) == 0
    assert capsys.readouterr() == (f"{tmp_path / 'index.html'}\n", "")
    assert (tmp_path / "index.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_directory_without_a_run_is_one_sentence_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["page", str(tmp_path)]) == 2
    reason = f"cannot read {tmp_path / 'run.json'}: No such file or directory"
    assert capsys.readouterr() == ("", f"could not write the page: {tmp_path} has no run that can be shown: {reason}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_is_one_sentence_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path, run=record())

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)  # type: ignore[attr-defined]
    assert main(["page", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"could not write the page: cannot write {tmp_path / 'index.html'}: No space left on device\n"
