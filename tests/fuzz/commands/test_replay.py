"""`python -m fuzz replay`: exit statuses and sentences. The end-to-end tests replay real findings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fuzz.__main__ import main
from fuzz.commands.replay import Outcome, load
from reports.finding import RecordError
from strategies.case import Case


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "cannot read"),
        ("{", "is not JSON"),
        ('{"format_version": 9}', "Case format_version is 9, this program reads 1"),
        ('{"format_version": 1, "signature": ""}', "the finding lacks"),
        ('{"format_version": 2, "signature": ""}', "finding format_version is 2, this program reads 1"),
        ('{"format_version": 1, "quantization": {"blocksize": 48}}', "blocksize 48 is not one of"),
        ('{"format_version": 1, "wight": {}}', "unknown field wight"),
        ("[]", "a Case is a JSON object"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, sentence: str
) -> None:
    file = tmp_path / "case.json"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    assert main(["replay", str(file)]) == Outcome.COULD_NOT_RUN
    (line,) = capsys.readouterr().err.splitlines()
    assert "could not run: " in line
    assert sentence in line


def test_an_empty_folder_is_no_finding(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"cannot read .*finding\.json"):
        load(tmp_path)


def test_a_bare_case_is_replayed_on_every_path(tmp_path: Path) -> None:
    file = tmp_path / "case.json"
    file.write_text(json.dumps(Case(seed=3).to_json()), encoding="utf-8")
    item = load(file)
    assert (item.case, item.key, item.device) == (Case(seed=3), None, "auto")
