"""Known issues and corpus on their way to another machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fuzz.campaign.corpus import CorpusError
from fuzz.campaign.corpus import load as load_corpus
from fuzz.fleet.order import Inputs
from fuzz.triage.known import KnownIssuesError, load
from strategies.case import Case

ROW = """[[issue]]
signature = "functional.gemv_4bit | gemv_4bit | missing error | triggers: weight.layout=in_out"
link = "unreported"
versions = ">=0.48"
reason = "a reason"
cases = ["{cases}"]
"""


def unpacked(inputs: Inputs, root: Path) -> tuple[Path, Path]:
    """The known-issues file and the corpus, as a shard has them."""
    for name, text in inputs.files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root / inputs.known, root / inputs.corpus


def written(folder: Path, case: Case) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.json").write_text(json.dumps(case.to_json()), encoding="utf-8")
    return folder


@pytest.mark.parametrize("corpus", ["corpus", "../elsewhere/cases", "."])
def test_a_row_names_the_same_case_there_as_here(tmp_path: Path, corpus: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    folder = written(home / corpus, Case(seed=7))
    (home / "known.toml").write_text(ROW.format(cases=f"{corpus}/a.json"), encoding="utf-8")
    known, there = unpacked(Inputs.packed(home / "known.toml", folder), tmp_path / "node")
    ((path, case),) = load_corpus(there).items()
    (issue,) = load(known)
    assert case == Case(seed=7)
    assert [one.resolve() for one in issue.cases] == [path]


def test_cases_of_rows_outside_of_the_corpus_come_too(tmp_path: Path) -> None:
    written(tmp_path / "home" / "other", Case(seed=8))
    (tmp_path / "home" / "known.toml").write_text(ROW.format(cases="other/a.json"), encoding="utf-8")
    known, there = unpacked(Inputs.packed(tmp_path / "home" / "known.toml", tmp_path / "home" / "none"), tmp_path / "node")
    assert load(known)[0].cases[0].is_file()
    assert load_corpus(there) == {}


def test_what_a_lost_attempt_left_open_is_in_the_corpus(tmp_path: Path) -> None:
    (tmp_path / "known.toml").touch()
    inputs = Inputs.packed(tmp_path / "known.toml", written(tmp_path / "corpus", Case(seed=1)))
    _, there = unpacked(inputs.with_cases([Case(seed=2), Case(seed=3)]), tmp_path / "node")
    assert sorted(case.seed for case in load_corpus(there).values()) == [1, 2, 3]
    assert len(inputs.files) == 2, "the plan itself stays as it is"


def test_what_cannot_be_used_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(KnownIssuesError, match="cannot read"):
        Inputs.packed(tmp_path / "none.toml", tmp_path)
    (tmp_path / "known.toml").touch()
    (tmp_path / "bad.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CorpusError, match="is not a Case"):
        Inputs.packed(tmp_path / "known.toml", tmp_path)
