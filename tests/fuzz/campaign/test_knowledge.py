"""What a run says about the rows of the known-issues file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fuzz.campaign.knowledge import Knowledge
from fuzz.engine.verdict import CaseResult, FailureKey, PathVerdict, Ruling, Symptom
from fuzz.triage.bug import Bug, Failure
from fuzz.triage.known import KnownIssue, load
from reports.files import write_json
from strategies.case import Case, Weight

CUDA = {"bitsandbytes": "0.50.2", "device": "cuda"}
TODAY = dt.date(2026, 7, 1)
KEY = FailureKey("functional.matmul_4bit", "matmul_4bit", Symptom.WRONG_VALUE, "")
ODD, EVEN = Case(weight=Weight(in_features=3)), Case(weight=Weight(in_features=2))


def rows(folder: Path, *changes: str) -> tuple[KnownIssue, ...]:
    """Rows of a file in `folder`, numbered in their titles, each with its further keys."""
    texts = [
        f"""[[issue]]
title = "row {number}"
surfaces = ["functional.matmul_4bit"]
symptoms = ["wrong value"]
triggers = {{ "weight.in_features" = "odd" }}
link = "https://example.org/{number}"
reason = "reason {number}"
{more if "versions" in more else 'versions = ">=0.48"' + chr(10) + more}
"""
        for number, more in enumerate(changes, start=1)
    ]
    (folder / "known.toml").write_text("\n".join(texts), encoding="utf-8")
    return load(folder / "known.toml")


def knowledge(folder: Path, *changes: str, system: dict[str, str] | None = None) -> Knowledge:
    return Knowledge(rows(folder, *changes), system or CUDA, TODAY)


def failure(case: Case = ODD) -> Failure:
    verdict = PathVerdict(path=KEY.path, surface=KEY.surface, ruling=Ruling.VALID, source="a test", symptom=KEY.symptom)
    return Failure(KEY, case, verdict, 1, 0.5)


def states(known: Knowledge) -> list[Any]:
    return [entry["state"] for entry in known.entries()]


def corpus(folder: Path, *cases: Case) -> dict[Path, Case]:
    """Files with these Cases: 1.json and so on."""
    files = {(folder / f"{number}.json").resolve(): case for number, case in enumerate(cases, start=1)}
    for path, case in files.items():
        write_json(path, case.to_json())
    return files


def verdict(symptom: Symptom | None = None, surface: str = "functional.matmul_4bit") -> PathVerdict:
    return PathVerdict(path="a path", surface=surface, ruling=Ruling.VALID, source="a test", symptom=symptom)


def results(*cases: Case, verdicts: tuple[PathVerdict, ...] = (verdict(),)) -> Sequence[tuple[Case, CaseResult]]:
    return [(case, CaseResult(verdicts)) for case in cases]


def test_without_rows_there_is_nothing_to_say() -> None:
    known = Knowledge((), CUDA)
    assert (known.entries(), known.warnings(), known.expired, known.suspects.rows) == ([], [], [], [])


def test_a_row_that_explains_failures_is_seen_and_counts_them(tmp_path: Path) -> None:
    known = knowledge(tmp_path, "")
    for _ in range(3):
        known.suspects.rows[0].count(failure())
    assert known.entries() == [{"title": "row 1", "link": "https://example.org/1", "reason": "reason 1", "cases": 3, "state": "seen"}]
    assert known.warnings() == []


def test_a_defect_that_a_row_names_is_counted_for_it(tmp_path: Path) -> None:
    known = knowledge(tmp_path, "", "")
    bug = Bug(
        KEY, ODD, {"weight.in_features": "odd"}, [known.suspects.rows[1].issue.condition], {KEY.path}, known=known.suspects.rows[1].issue
    )
    bug.count(failure())
    bug.count(failure())
    known.suspects.bugs.append(bug)
    known.suspects.rows[1].count(failure())
    assert [entry["cases"] for entry in known.entries()] == [0, 3]
    assert states(known) == ["not met", "seen"]


def test_a_row_whose_case_was_run_without_its_failure_looks_fixed(tmp_path: Path) -> None:
    known = knowledge(tmp_path, 'cases = ["1.json"]')
    files = corpus(tmp_path, ODD)
    known.ran(files, results(ODD))
    assert states(known) == ["looks fixed"]
    assert known.warnings() == []


def test_a_row_whose_case_did_not_get_to_its_surface_is_not_met(tmp_path: Path) -> None:
    """What comes before it failed, or the surface does not take the Case here: that says nothing about the defect."""
    known = knowledge(tmp_path, 'cases = ["1.json"]')
    known.ran(corpus(tmp_path, ODD), results(ODD, verdicts=(verdict(surface="functional.quantize_4bit"),)))
    assert states(known) == ["not met"]


def test_a_row_whose_case_still_fails_as_it_says_is_seen_though_another_row_explains_it(tmp_path: Path) -> None:
    known = knowledge(tmp_path, 'cases = ["1.json"]')
    known.ran(corpus(tmp_path, ODD), results(ODD, verdicts=(verdict(Symptom.WRONG_VALUE),)))
    assert states(known) == ["seen"]


def test_a_row_whose_case_fails_in_another_way_looks_fixed(tmp_path: Path) -> None:
    known = knowledge(tmp_path, 'cases = ["1.json"]')
    known.ran(corpus(tmp_path, ODD), results(ODD, verdicts=(verdict(Symptom.WRONG_SHAPE),)))
    assert states(known) == ["looks fixed"]


def test_one_of_several_cases_is_enough(tmp_path: Path) -> None:
    known = knowledge(tmp_path, 'cases = ["1.json", "2.json"]')
    known.ran(corpus(tmp_path, ODD, EVEN), results(EVEN))
    assert states(known) == ["looks fixed"]


def test_a_row_that_is_seen_does_not_look_fixed(tmp_path: Path) -> None:
    known = knowledge(tmp_path, 'cases = ["1.json"]')
    known.ran(corpus(tmp_path, ODD), results(ODD))
    known.suspects.rows[0].count(failure())
    assert states(known) == ["seen"]


def test_a_row_is_not_met_where_its_case_was_not_run(tmp_path: Path) -> None:
    """Time was up first, or it has no Case at all."""
    known = knowledge(tmp_path, 'cases = ["1.json"]', "")
    known.ran(corpus(tmp_path, ODD, EVEN), results(EVEN))
    assert states(known) == ["not met", "not met"]
    assert known.warnings() == [
        f"the known issue 'row {number}' matched nothing in this run, and no Case of it was run" for number in (1, 2)
    ]


def test_the_same_case_of_another_file_is_not_the_row_s(tmp_path: Path) -> None:
    known = knowledge(tmp_path, 'cases = ["elsewhere/1.json"]')
    known.ran(corpus(tmp_path, ODD), results(ODD))
    assert states(known) == ["not met"]


def test_files_are_the_same_however_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    known = knowledge(tmp_path, 'cases = ["below/../1.json"]')
    known.ran(corpus(tmp_path, ODD), results(ODD))
    assert states(known) == ["looks fixed"]


def test_what_was_run_adds_up(tmp_path: Path) -> None:
    known = knowledge(tmp_path, 'cases = ["1.json"]', 'cases = ["2.json"]')
    files = corpus(tmp_path, ODD, EVEN)
    known.ran(files, results(ODD))
    known.ran(files, results(EVEN))
    assert states(known) == ["looks fixed", "looks fixed"]


@pytest.mark.parametrize(
    ("more", "system", "there"),
    [
        ("", CUDA, True),
        ('versions = ">=0.50,<0.51"', CUDA, True),
        ('versions = ">=0.50,<0.51"', CUDA | {"bitsandbytes": "0.50.2.dev0+standin"}, True),
        ('versions = ">=0.51"', CUDA, False),
        ('versions = "<0.50"', CUDA, False),
        ('device = "cuda"', CUDA, True),
        ('device = "cpu"', CUDA, False),
        ('device = "cuda"', CUDA | {"device": "cpu"}, False),
    ],
)
def test_rows_of_other_releases_and_devices_are_left_out(tmp_path: Path, more: str, system: dict[str, str], there: bool) -> None:  # noqa: FBT001
    known = knowledge(tmp_path, more, system=system)
    assert len(known.entries()) == len(known.suspects.rows) == there
    assert len(known.warnings()) == there


@pytest.mark.parametrize(("date", "expired"), [("2026-06-30", True), ("2026-07-01", True), ("2026-07-02", False)])
def test_a_row_expires_on_its_day(tmp_path: Path, date: str, expired: bool) -> None:  # noqa: FBT001
    known = knowledge(tmp_path, f"expires = {date}", "")
    assert [issue.title for issue in known.expired] == ["row 1"] * expired
    assert [row.issue.title for row in known.suspects.rows] == ["row 2"] if expired else ["row 1", "row 2"]
    assert (f"the known issue 'row 1' expired on {date}: look at it again" in known.warnings()) is expired


def test_an_expired_row_of_another_device_is_nobody_s_business_here(tmp_path: Path) -> None:
    known = knowledge(tmp_path, 'expires = 2020-01-01\ndevice = "cpu"')
    assert (known.expired, known.warnings(), known.entries()) == ([], [], [])


def test_rows_expire_by_the_day_of_the_run(tmp_path: Path) -> None:
    tomorrow = dt.datetime.now(tz=dt.UTC).date() + dt.timedelta(days=2)
    issues = rows(tmp_path, "expires = 2020-01-01", f"expires = {tomorrow}")
    assert [issue.title for issue in Knowledge(issues, CUDA).expired] == ["row 1"]


def test_cases_of_other_releases_and_devices_are_not_worth_running(tmp_path: Path) -> None:
    known = knowledge(tmp_path, 'cases = ["1.json"]\ndevice = "cpu"', 'cases = ["2.json"]\ndevice = "cuda"')
    files = corpus(tmp_path, ODD, EVEN, Case())
    assert [path.name for path in known.of_interest(files)] == ["2.json", "3.json"]


def test_a_case_of_a_defect_here_and_elsewhere_is_worth_running(tmp_path: Path) -> None:
    known = knowledge(tmp_path, 'cases = ["1.json"]\ndevice = "cpu"', 'cases = ["1.json"]\ndevice = "cuda"')
    assert len(known.of_interest(corpus(tmp_path, ODD))) == 1


def test_a_case_of_an_expired_row_is_still_worth_running(tmp_path: Path) -> None:
    known = knowledge(tmp_path, 'cases = ["1.json"]\nexpires = 2020-01-01')
    assert len(known.of_interest(corpus(tmp_path, ODD))) == 1
