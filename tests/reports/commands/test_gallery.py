"""`python -m reports gallery`: folders that anybody can look through, and nothing of anybody else is overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from reports.__main__ import main
from reports.errors import MINIMAL, ErrorGrid
from reports.finding import Finding
from reports.severity import SENTENCES, Severity
from strategies.case import Case
from tests.reports.helpers import NASTY, finding
from tests.reports.page.runs import entry
from tests.reports.stored_runs import SCRIPT, record, write_run

GRID = ErrorGrid(shape=(1, 2), tile=(1, 1), ratios=((0.5, 3.0),), wrong=(".x",))
WRONG = finding(errors={MINIMAL: GRID})
DEAD = finding("gemv_4bit", "process died", how="SIGABRT", got=NASTY, error_over_bound=None)


def run_of(root: Path, *findings: Finding) -> Path:
    """A reports directory with these findings."""
    write_run(root, findings, run=record(findings=[entry(item) for item in findings]))
    return root


def test_each_finding_is_a_folder_of_its_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, into = run_of(tmp_path / "run", WRONG, DEAD), tmp_path / "gallery"
    assert main(["gallery", str(root), "--into", str(into)]) == 0
    assert capsys.readouterr() == (f"{into / '0.50.2'}\n", "")
    folder = into / "0.50.2" / WRONG.slug
    assert {file.name for file in folder.iterdir()} == {"issue.md", "repro.py", "case.json", "plot.svg"}
    assert {file.name for file in (into / "0.50.2" / DEAD.slug).iterdir()} == {"issue.md", "repro.py", "case.json"}
    assert (folder / "repro.py").read_text(encoding="utf-8") == SCRIPT
    assert Case.from_json(json.loads((folder / "case.json").read_text(encoding="utf-8"))) == WRONG.case
    assert (folder / "plot.svg").read_bytes().startswith(b"<svg")


def test_the_index_sorts_by_severity_and_its_links_lead_to_files(tmp_path: Path) -> None:
    root, into = run_of(tmp_path / "run", DEAD, WRONG), tmp_path / "gallery"
    assert main(["gallery", str(root), "--into", str(into)]) == 0
    text = (into / "0.50.2" / "README.md").read_text(encoding="utf-8")
    assert text.index(SENTENCES[Severity.SILENT]) < text.index(SENTENCES[Severity.FATAL])
    assert SENTENCES[Severity.REFUSED] not in text
    links = [part.split(")")[0] for part in text.split("](")[1:]]
    assert len(links) == 7
    assert all((into / "0.50.2" / link).is_file() for link in links)
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    assert [token.type for token in tokens].count("table_open") == 2


def test_it_can_be_written_again_and_what_is_gone_is_gone(tmp_path: Path) -> None:
    into = tmp_path / "gallery"
    assert main(["gallery", str(run_of(tmp_path / "first", WRONG, DEAD)), "--into", str(into)]) == 0
    assert main(["gallery", str(run_of(tmp_path / "second", WRONG)), "--into", str(into)]) == 0
    assert {file.name for file in (into / "0.50.2").iterdir()} == {"README.md", WRONG.slug}


@pytest.mark.parametrize("name", ["README.md", "notes.txt"])
def test_what_somebody_else_wrote_is_left_as_it_is(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "gallery" / "0.50.2" / name
    own.parent.mkdir(parents=True)
    own.write_text("mine", encoding="utf-8")
    assert main(["gallery", str(run_of(tmp_path / "run", WRONG)), "--into", str(tmp_path / "gallery")]) == 2
    assert capsys.readouterr().err == (f"could not write the gallery: {own.parent} was not written by this command, and is left as it is\n")
    assert own.read_text(encoding="utf-8") == "mine"


def test_a_directory_without_a_run_is_one_sentence_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gallery", str(tmp_path / "nothing"), "--into", str(tmp_path / "gallery")]) == 2
    assert capsys.readouterr().err.startswith("could not write the gallery: ")
    assert not (tmp_path / "gallery").exists()


def test_a_release_that_is_no_name_of_a_folder_does_not_lead_elsewhere(tmp_path: Path) -> None:
    system = {**record().system, "bitsandbytes": "../../elsewhere"}
    write_run(tmp_path / "run", [WRONG], run=record(findings=[entry(WRONG)], system=system))
    assert main(["gallery", str(tmp_path / "run"), "--into", str(tmp_path / "in" / "gallery")]) == 0
    assert {folder.name for folder in tmp_path.iterdir()} == {"run", "in"}
