"""`python -m fuzz remember`: what a nightly job knows, from night to night."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from fuzz.__main__ import main
from fuzz.campaign.corpus import load as load_corpus
from fuzz.campaign.knowledge import Knowledge
from fuzz.commands.remember import PROJECT, remember
from fuzz.engine.verdict import FailureKey, Symptom
from fuzz.triage.known import KnownIssue, load
from reports.extent import Sighting
from strategies.case import Activation, Case, FloatDType
from tests.reports.helpers import SYSTEM, finding
from tests.reports.stored_runs import record, unverified, write_run

TODAY = dt.date(2026, 11, 23)
THEIRS = len(load(PROJECT / "fuzz" / "known_issues.toml"))
CASES = len(load_corpus(PROJECT / "fuzz" / "corpus"))
FOUND = finding("matmul_4bit", "wrong shape", Case(activation=Activation(dtype=FloatDType.BFLOAT16)), model=None)
NEWER = {**SYSTEM, "bitsandbytes": "0.51.0.dev0"}


def known(state: Path, system: dict[str, str] | None = None) -> list[KnownIssue]:
    """The rows that are in force and not the project's."""
    rows = load(state / "known_issues.toml")[THEIRS:]
    return [row.issue for row in Knowledge(rows, system or SYSTEM, TODAY).suspects.rows]


def test_the_first_night_begins_with_what_the_project_knows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["remember", str(tmp_path / "state")]) == 0
    assert load(tmp_path / "state" / "known_issues.toml")[0].title == load(PROJECT / "fuzz" / "known_issues.toml")[0].title
    assert len(load_corpus(tmp_path / "state" / "corpus")) == CASES
    assert capsys.readouterr().out == f"{tmp_path / 'state'} has {THEIRS} known issues, 0 of them from earlier runs, and {CASES} Cases\n"


def test_a_finding_is_known_from_then_on_with_its_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", [FOUND], run=record())
    assert remember(tmp_path / "state", [run], 30, TODAY) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"remembered until 2026-12-23: {FOUND.signature}  [==0.50.2, cpu]"
    (row,) = known(tmp_path / "state")
    assert row.names(FailureKey(FOUND.surface, FOUND.path, Symptom(FOUND.symptom), ""), FOUND.case, FOUND.triggers)
    (case,) = row.cases
    assert Case.from_json(json.loads(case.read_text(encoding="utf-8"))) == FOUND.case
    assert case.resolve() in load_corpus(tmp_path / "state" / "corpus")
    assert known(tmp_path / "state", NEWER) == [], "it was not seen on that release"
    assert known(tmp_path / "state", {**SYSTEM, "device": "cuda"}) == [], "nor on that device"


def test_the_second_night_adds_to_the_first_and_says_nothing_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", [FOUND], run=record())
    both = write_run(tmp_path / "both", [finding("gemv_4bit", "wrong shape", FOUND.case, model=None), FOUND], run=record())
    assert remember(tmp_path / "state", [run], 30, TODAY) == 0
    capsys.readouterr()
    assert remember(tmp_path / "state", [run, both], 30, TODAY + dt.timedelta(days=1)) == 0
    new, last = capsys.readouterr().out.splitlines()
    assert "gemv_4bit | wrong shape" in new
    assert f"{THEIRS + 2} known issues, 2 of them from earlier runs, and {CASES + 2} Cases" in last


def test_each_release_that_it_was_seen_on_has_a_row(tmp_path: Path) -> None:
    seen = finding(
        "matmul_4bit",
        "wrong shape",
        FOUND.case,
        model=None,
        sightings=(Sighting(system=SYSTEM, observed=1), Sighting(system=NEWER, observed=2)),
    )
    assert remember(tmp_path / "state", [write_run(tmp_path / "run", [seen], run=record())], 30, TODAY) == 0
    assert len(known(tmp_path / "state")) == len(known(tmp_path / "state", NEWER)) == 1


def test_a_build_of_somebody_s_own_is_its_release(tmp_path: Path) -> None:
    own = {**SYSTEM, "bitsandbytes": "0.50.0+standin"}
    run = write_run(tmp_path / "run", [finding("matmul_4bit", "wrong shape", FOUND.case, model=None, system=own)], run=record())
    assert remember(tmp_path / "state", [run], 30, TODAY) == 0
    assert len(known(tmp_path / "state", own)) == 1


def test_after_its_days_a_finding_is_found_again(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [FOUND], run=record())
    assert remember(tmp_path / "state", [run], 2, TODAY) == 0
    assert remember(tmp_path / "state", [], 2, TODAY + dt.timedelta(days=1)) == 0
    assert len(known(tmp_path / "state")) == 1
    assert remember(tmp_path / "state", [], 2, TODAY + dt.timedelta(days=2)) == 0
    assert len(load(tmp_path / "state" / "known_issues.toml")) == THEIRS
    assert len(load_corpus(tmp_path / "state" / "corpus")) == CASES


def test_what_is_not_certain_or_would_mute_a_path_is_not_remembered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    anything = finding("gemv_4bit", "hang", Case(), model=None)
    run = write_run(tmp_path / "run", [unverified(FOUND), anything], run=record())
    assert remember(tmp_path / "state", [run], 30, TODAY) == 0
    assert len(load(tmp_path / "state" / "known_issues.toml")) == THEIRS
    assert capsys.readouterr().out.splitlines()[0] == (
        f"not remembered, since it has no triggers and would mute its path: {anything.signature}"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[", "is not TOML"),
        ("[[issue]]\n", "issue 1: it lacks 'link'"),
        (
            f'[[issue]]\nsignature = "{FOUND.signature}"\nlink = "x"\nversions = ">=0.48"\nreason = "mine"\n',
            "has a row that no run has written",
        ),
    ],
)
def test_a_state_that_somebody_has_changed_is_one_sentence_and_nothing_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, sentence: str
) -> None:
    (tmp_path / "found.toml").write_text(text, encoding="utf-8")
    assert main(["remember", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("could not remember: ")
    assert sentence in line
    assert (tmp_path / "found.toml").read_text(encoding="utf-8") == text


def test_what_is_no_reports_directory_is_one_sentence_and_nothing_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", [FOUND], run=record())
    assert remember(tmp_path / "state", [run], 30, TODAY) == 0
    before = (tmp_path / "state" / "found.toml").read_text(encoding="utf-8")
    assert main(["remember", str(tmp_path / "state"), str(tmp_path / "nowhere")]) == 2
    assert "is no reports directory" in capsys.readouterr().err
    assert (tmp_path / "state" / "found.toml").read_text(encoding="utf-8") == before


def test_a_state_that_cannot_be_written_is_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["remember", str(tmp_path / "file" / "state")]) == 2
    assert capsys.readouterr().err.startswith("could not remember: cannot write ")


@pytest.mark.parametrize("arguments", [[], ["state", "--days", "0"]])
def test_bad_usage_is_status_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["remember", *arguments])
    assert ended.value.code == 2
