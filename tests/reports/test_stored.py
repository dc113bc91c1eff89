"""What is read back from a reports directory, whole or in pieces."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.finding import signature
from reports.run import ReportsError, RunDirectory, RunRecord
from reports.schema import RecordError
from reports.stored import StoredRun, is_reports, read_run
from tests.reports.helpers import finding
from tests.reports.stored_runs import SCRIPT, observation, of, record, unverified, write_run


def read(root: Path) -> tuple[StoredRun, list[str]]:
    """The run, and what was said about what is left out."""
    warnings: list[str] = []
    return read_run(root, warnings.append), warnings


def test_what_a_run_wrote_is_read_back(tmp_path: Path) -> None:
    one, two = finding(), unverified(finding("gemv_4bit", "hang", model=None))
    unconfirmed = [{"signature": "a | b | c | triggers: none", "slug": "", "reason": "why", "rate": "2 of 13"}]
    known = [{"title": "t", "link": "l", "reason": "r", "cases": 3, "state": "seen"}]
    ended = record(unconfirmed=unconfirmed, known=known, warnings=["w"], findings=[{"signature": "s", "slug": "", "cases": 1}])
    run, warnings = read(write_run(tmp_path, [one, two], [of(one), of(two)], ended))
    assert warnings == []
    assert run.record == ended
    assert [item.finding for item in run.findings.values()] == sorted((one, two), key=lambda item: item.slug)
    assert {item.script for item in run.findings.values()} == {SCRIPT}
    assert [json.loads(item.line) for item in run.observations] == [of(one), of(two)]
    assert run.observations[0].case == one.first_case
    assert run.observations[0].signature == signature(one.surface, one.path, one.symptom, "", one.triggers)
    assert not run.cut_short


@pytest.mark.parametrize(("reason", "short"), [("running", True), ("interrupted", True), ("time", False), ("merged", False)])
def test_a_run_that_did_not_end_is_known_by_its_reason(tmp_path: Path, reason: str, short: bool) -> None:  # noqa: FBT001
    run, _ = read(write_run(tmp_path, run=record(stop_reason=reason)))
    assert run.cut_short is short


@pytest.mark.parametrize("name", ["run.json", "findings", "observations.jsonl"])
def test_one_of_three_things_makes_a_reports_directory(tmp_path: Path, name: str) -> None:
    assert not is_reports(tmp_path)
    if name == "run.json":
        RunDirectory(tmp_path).write_run(record())
    elif name == "findings":
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_text("", encoding="utf-8")
    assert is_reports(tmp_path)
    run, warnings = read(tmp_path)
    assert (run.findings, run.scripts, run.observations) == ({}, {}, ())
    assert warnings == ([] if name == "run.json" else [f"{tmp_path} has no run.json, so that its Cases are not counted"])
    assert run.cut_short is (name != "run.json")


@pytest.mark.parametrize("make", [Path.exists, Path.mkdir, Path.touch], ids=["nothing", "empty", "file"])
def test_another_place_is_none(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "x")
    with pytest.raises(ReportsError, match=r"x is no reports directory: it has neither run\.json nor findings nor observations\.jsonl$"):
        read(tmp_path / "x")


def test_a_script_without_a_finding_is_one_whose_confirmation_was_under_way(tmp_path: Path) -> None:
    RunDirectory(tmp_path).write_script(finding(), SCRIPT)
    (tmp_path / "findings" / "empty").mkdir()
    (tmp_path / "findings" / "notes.txt").write_text("mine", encoding="utf-8")
    run, _ = read(tmp_path)
    assert (run.findings, run.scripts) == ({}, {finding().slug: SCRIPT})


def test_temporary_files_of_a_killed_writer_are_no_findings(tmp_path: Path) -> None:
    write_run(tmp_path, [finding()], run=record())
    folder = tmp_path / "findings" / finding().slug
    (folder / ".finding.json.abc").write_text("{", encoding="utf-8")
    (tmp_path / ".run.json.abc").write_text("{", encoding="utf-8")
    (tmp_path / "findings" / ".hidden").mkdir()
    (tmp_path / "findings" / ".hidden" / "repro.py").write_text("", encoding="utf-8")
    run, warnings = read(tmp_path)
    assert (list(run.findings), run.scripts, warnings) == ([finding().signature], {}, [])


@pytest.mark.parametrize(
    "line",
    [
        '{"seed": 5, "case": {"format_ver',
        "\ufffd\x00",
        "[]",
        "{}",
        "null",
        json.dumps(observation() | {"case": {"format_version": 9}}),
        json.dumps(observation() | {"verdict": {}}),
        json.dumps(observation() | {"verdict": {"surface": 1, "path": 1, "symptom": 1, "how": 1}}),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_line_that_is_no_observation_is_named_and_left_out(tmp_path: Path, line: str, place: int) -> None:
    lines = [json.dumps(observation()), json.dumps(observation("matmul_4bit"))]
    lines.insert(place, line)
    (tmp_path / "observations.jsonl").write_text("\n".join(lines), encoding="utf-8")
    run, warnings = read(tmp_path)
    assert [item.signature.split(" | ")[1] for item in run.observations] == ["gemv_4bit", "matmul_4bit"]
    assert f"{tmp_path / 'observations.jsonl'}, line {place + 1}, is not an observation and is left out" in warnings[-1]
    assert len(warnings) == 2


def test_bytes_that_are_no_text_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "observations.jsonl").write_bytes(json.dumps(observation()).encode() + b"\n\xff\xfe\x00\n")
    run, warnings = read(tmp_path)
    assert len(run.observations) == 1
    assert "line 2" in warnings[-1]


def test_other_line_ends_within_an_observation_do_not_end_it(tmp_path: Path) -> None:
    RunDirectory(tmp_path).observe(observation(how="one\u2028two\x85three"))
    run, _ = read(tmp_path)
    assert len(run.observations) == 1


@pytest.mark.parametrize("file", ["run.json", "findings/{slug}/finding.json"])
@pytest.mark.parametrize("text", ["", "{", "\ufffd"])
def test_a_file_that_is_not_json_is_named_and_left_out(tmp_path: Path, file: str, text: str) -> None:
    write_run(tmp_path, [finding()], run=record())
    path = tmp_path / file.format(slug=finding().slug)
    path.write_text(text, encoding="utf-8")
    run, warnings = read(tmp_path)
    assert [warning.partition(" is not JSON and is left out: ")[0] for warning in warnings] == [str(path)]
    if file == "run.json":
        assert run.record is None
        assert len(run.findings) == 1
    else:
        assert (run.findings, run.scripts) == ({}, {finding().slug: SCRIPT})


@pytest.mark.parametrize(("file", "version"), [("run.json", 3), ("findings/{slug}/finding.json", 2)])
@pytest.mark.parametrize(
    ("has", "sentence"),
    [
        (lambda version: {"format_version": version - 1}, "format_version is {before}, this program reads {version}"),
        (lambda version: [], "format_version is None"),  # noqa: ARG005
        (lambda version: {"format_version": version}, "lacks"),
    ],
)
def test_another_format_is_not_left_out_but_refused(
    tmp_path: Path, file: str, version: int, has: Callable[[int], Any], sentence: str
) -> None:
    data, sentence = has(version), sentence.format(before=version - 1, version=version)
    write_run(tmp_path, [finding()], run=record())
    path = tmp_path / file.format(slug=finding().slug)
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ReportsError, match=f"^{path} cannot be merged: .*{sentence}"):
        read(tmp_path)


def test_a_copy_of_a_folder_is_the_same_finding(tmp_path: Path) -> None:
    write_run(tmp_path, [finding(observed=3)])
    folder = tmp_path / "findings" / finding().slug
    for name in ("a copy", "z copy"):
        copy = tmp_path / "findings" / name
        copy.mkdir()
        (copy / "finding.json").write_text(json.dumps(finding(observed=100).to_json()), encoding="utf-8")
    run, _ = read(tmp_path)
    assert [item.finding.observed for item in run.findings.values()] == [3]
    for file in folder.iterdir():
        file.unlink()
    run, _ = read(tmp_path)
    assert [item.finding.observed for item in run.findings.values()] == [100]


def test_a_place_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()
    with pytest.raises(ReportsError, match=rf"^cannot read {tmp_path}/run\.json: Is a directory$"):
        read(tmp_path)


def as_json() -> dict[str, Any]:
    return {"format_version": 3, **dataclasses.asdict(record())}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"coverage": {}}, "'coverage' of the run lacks 'values'"),
        ({"coverage": []}, "'coverage' of the run is not a JSON object"),
        ({"cases": -1}, "'cases' of the run is not a count"),
        ({"surfaces": {"a": "b"}}, "'a' of 'surfaces' of the run is not a count"),
        ({"unconfirmed": [{"slug": ""}]}, "an item of 'unconfirmed' of the run lacks 'signature'"),
        ({"known": [{"title": "", "state": ""}]}, "an item of 'known' of the run lacks 'cases'"),
        ({"warnings": [1]}, "an item of 'warnings' of the run is not text"),
    ],
)
def test_a_record_that_is_malformed_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    data = as_json() | changes
    with pytest.raises(RecordError) as caught:
        RunRecord.from_json(data)
    assert str(caught.value) == sentence


def test_a_record_of_a_later_program_may_say_more() -> None:
    data = as_json() | {"weather": "fine"}
    assert RunRecord.from_json(data) == record()
