"""`python -m reports formats`: which files, and what it says where it cannot."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from reports.__main__ import main
from reports.events import Events
from reports.formats.workflow import workflow_commands
from tests.reports.formats.helpers import outcomes, run_of_each
from tests.reports.helpers import SYSTEM, finding
from tests.reports.stored_runs import write_run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The reports directory of a run."""
    item = finding()
    root = write_run(tmp_path / "run", [item], run=run_of_each(item))
    Events(root, lambda: 0.0).started(SYSTEM, 5, 60.0)
    return root


def test_every_format_that_is_asked_for(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("junit", "sarif", "summary", "events")
    files = {name: tmp_path / "new" / name for name in names}
    arguments = [part for name, file in files.items() for part in (f"--{name}", str(file))]
    assert main(["formats", str(root), *arguments, "--annotations"]) == 0
    texts = {name: file.read_text(encoding="utf-8") for name, file in files.items()}
    assert ET.fromstring(texts["junit"]).tag == "testsuites"  # noqa: S314 - our own
    assert json.loads(texts["sarif"])["version"] == "2.1.0"
    assert texts["summary"].startswith("## bnb4-fuzz\n")
    assert json.loads(texts["events"])["event"] == "started"
    assert capsys.readouterr().out.splitlines() == list(workflow_commands(outcomes()))


def test_one_format_is_one_file(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert main(["formats", str(root), "--junit", str(tmp_path / "junit.xml")]) == 0
    assert {path for path in tmp_path.rglob("*") if path.is_file()} - before == {tmp_path / "junit.xml"}
    assert capsys.readouterr() == ("", "")


def test_a_file_that_cannot_be_written_is_said_and_the_others_are_written(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "events.ndjson").unlink()
    (tmp_path / "file").touch()
    arguments = ["--junit", str(tmp_path / "file" / "below"), "--sarif", str(tmp_path / "s"), "--events", str(tmp_path / "e")]
    assert main(["formats", str(root), *arguments]) == 2
    assert (tmp_path / "s").exists()
    assert not (tmp_path / "e").exists()
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"could not write {tmp_path / 'file' / 'below'}: ")
    assert second == f"could not write {tmp_path / 'e'}: {root / 'events.ndjson'} cannot be read: No such file or directory"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "nothing to write: name at least one of --junit, --sarif, --summary, --events and --annotations"),
        (["--junit", "x"], "is no reports directory: it has neither run.json nor findings nor observations.jsonl"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(["formats", str(tmp_path / "none"), *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith(f"{sentence}\n")
    assert len(err.splitlines()) == 1
