"""Which Cases are run first: those of the corpus, and those that a killed run left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fuzz.campaign.corpus import MOST_LEFT, CorpusError, left_open, load, read_case
from reports.files import write_json
from strategies.case import Case, Weight
from tests.reports.stored_runs import observation, record, write_run

PROJECT = Path(__file__).resolve().parents[3]


def sized(size: int) -> Case:
    return Case(weight=Weight(in_features=size))


def test_the_files_of_a_folder_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, size in (("b", 2), ("a", 1), ("c", 3)):
        write_json(tmp_path / f"{name}.json", sized(size).to_json())
    (tmp_path / "README.md").write_text("not a Case", encoding="utf-8")
    corpus = load(tmp_path)
    assert list(corpus) == [(tmp_path / f"{name}.json").resolve() for name in "abc"]
    assert list(corpus.values()) == [sized(1), sized(2), sized(3)]


def test_a_folder_that_is_not_there_is_an_empty_corpus(tmp_path: Path) -> None:
    assert load(tmp_path / "nothing") == {}
    assert load(tmp_path) == {}


def test_paths_are_absolute_however_the_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path / "corpus" / "a.json", Case().to_json())
    monkeypatch.chdir(tmp_path)
    assert list(load(Path("corpus"))) == list(load(Path("corpus/../corpus"))) == [tmp_path.resolve() / "corpus" / "a.json"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[]", "a Case is a JSON object"),
        ("{}", "Case format_version is None, this program reads 1"),
        ('{"format_version": 2}', "Case format_version is 2, this program reads 1"),
        ('{"format_version": 1, "colour": "red"}', "unknown field colour"),
        ('{"format_version": 1, "weight": {"in_features": -1}}', "weight.in_features is -1, not between 0 and 65536"),
        ('{"format_version": 1, "packed": "sideways"}', "packed is 'sideways', not one of returned, transposed"),
    ],
)
def test_a_file_that_is_not_a_case_is_refused_in_one_sentence(tmp_path: Path, text: str, reason: str) -> None:
    write_json(tmp_path / "a.json", Case().to_json())
    file = tmp_path / "b.json"
    file.write_text(text, encoding="utf-8")
    for refused in (lambda: read_case(file), lambda: load(tmp_path)):
        with pytest.raises(CorpusError) as caught:
            refused()
        assert str(caught.value).startswith(f"{file} is not a Case: ")
        assert reason in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorpusError, match="is not JSON"):
        load(tmp_path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(CorpusError, match="Is a directory"):
        load(tmp_path)


def test_the_corpus_of_the_project_can_be_read() -> None:
    assert len(load(PROJECT / "fuzz" / "corpus")) > 5


def write(reports: Path, stop_reason: str | None, sizes: list[int]) -> None:
    """What a run leaves that saw failures of these widths; without a reason it wrote no run.json."""
    run = None if stop_reason is None else record(stop_reason=stop_reason)
    write_run(reports, observations=[observation(case=sized(size)) for size in sizes], run=run)


@pytest.mark.parametrize("stop_reason", [None, "running", "interrupted"])
def test_a_run_that_was_cut_short_leaves_what_it_observed(tmp_path: Path, stop_reason: str | None) -> None:
    write(tmp_path, stop_reason, [3, 1, 2])
    assert left_open(tmp_path) == [sized(3), sized(1), sized(2)]


def test_a_run_that_came_to_its_end_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path, "time", [3, 1, 2])
    assert left_open(tmp_path) == []


def test_the_first_run_in_a_folder_finds_nothing(tmp_path: Path) -> None:
    assert left_open(tmp_path) == []
    assert left_open(tmp_path / "reports") == []


def test_a_run_json_that_was_cut_off_is_of_a_killed_run(tmp_path: Path) -> None:
    write(tmp_path, "running", [1])
    (tmp_path / "run.json").write_text('{"format_version": 2, "stop_rea', encoding="utf-8")
    assert left_open(tmp_path) == [sized(1)]


@pytest.mark.parametrize("text", ["[]", "null", '"running"', "{}"])
def test_a_run_json_that_is_something_else_leaves_nothing(tmp_path: Path, text: str) -> None:
    write(tmp_path, "running", [1])
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    assert left_open(tmp_path) == []


def test_each_case_is_left_once(tmp_path: Path) -> None:
    write(tmp_path, "running", [1, 2, 1, 1, 2])
    assert left_open(tmp_path) == [sized(1), sized(2)]


def test_only_the_last_ones_are_left_of_many(tmp_path: Path) -> None:
    count = MOST_LEFT + 20
    write(tmp_path, "running", list(range(1, count + 1)))
    assert left_open(tmp_path) == [sized(size) for size in range(21, count + 1)]


def test_half_a_last_line_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "running", [1, 2])
    file = tmp_path / "observations.jsonl"
    whole = file.read_text(encoding="utf-8")
    file.write_text(whole + whole[:60], encoding="utf-8")
    assert left_open(tmp_path) == [sized(1), sized(2)]
    file.write_text(whole[:-30], encoding="utf-8")
    assert left_open(tmp_path) == [sized(1)]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nothing",
        "3",
        "null",
        "[]",
        "{}",
        '{"case": null}',
        '{"case": {}}',
        json.dumps({"case": {"format_version": 7}}),
        json.dumps({"case": Case().to_json() | {"seed": -1}}),
    ],
)
def test_a_line_that_is_no_observation_is_passed_over(tmp_path: Path, line: str) -> None:
    write(tmp_path, "running", [1, 2])
    file = tmp_path / "observations.jsonl"
    first, second = file.read_text(encoding="utf-8").splitlines()
    file.write_text(f"{first}\n{line}\n{second}\n", encoding="utf-8")
    assert left_open(tmp_path) == [sized(1), sized(2)]


def test_bytes_that_are_not_text_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "running", [1])
    with (tmp_path / "observations.jsonl").open("ab") as file:
        file.write(b'{"case": "\xff\xfe')
    assert left_open(tmp_path) == [sized(1)]


def test_a_killed_run_that_observed_nothing(tmp_path: Path) -> None:
    write(tmp_path, "running", [])
    assert left_open(tmp_path) == []
