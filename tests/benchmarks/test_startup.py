"""The start-up benchmark: what it copies, runs and prints."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from benchmarks import startup
from benchmarks.startup import copied, main, measure


def test_the_first_time_does_not_count(tmp_path: Path) -> None:
    """It is the one that fills caches."""
    command = ["-c", "open('runs', 'a').write('x')"]
    assert len(measure(command, 2, tmp_path, dict(os.environ))) == 2
    assert (tmp_path / "runs").read_text(encoding="utf-8") == "xxx"


def test_a_copy_can_be_collected_and_has_no_bytecode(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    assert (folder / "fuzz" / "test_gemv_matrix.py").is_file()
    assert not list(folder.rglob("__pycache__"))


def test_every_command_is_measured_with_and_without_bytecode(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(startup, "COMMANDS", {"one": ("-c", "pass"), "two": ("-c", "import sys; sys.exit(0)")})
    assert main(["--count", "1"]) == 0
    said, _, table = capsys.readouterr().out.partition("\n\n")
    assert said.startswith("Median of 1; Python " + sys.version.split()[0])
    lines = table.splitlines()[2:]
    assert [line.split(" | ")[:2] for line in lines] == [["| one", "kept"], ["| one", "not kept"], ["| two", "kept"], ["| two", "not kept"]]
    assert all(re.search(r"\| \d+\.\d\d \| \d+\.\d\d \|$", line) for line in lines)
