"""The section about what compute-sanitizer reported, and its record."""

from __future__ import annotations

from typing import Any

import pytest

from reports.issue import write_issue
from reports.memory_safety import memory_safety, outcome
from reports.sanitizer import ReportedError, SanitizerReport
from reports.schema import RecordError
from tests.reports.helpers import SANITIZED, finding, rich_finding
from tests.reports.markdown import cells


def section(*reports: SanitizerReport) -> str:
    return memory_safety(finding(sanitizer=reports))


def report(tool: str = "memcheck", errors: int = 0, **changes: Any) -> SanitizerReport:
    return SanitizerReport(tool=tool, errors=errors, **changes)


def test_a_finding_that_was_not_checked_has_no_section() -> None:
    assert section() == ""
    assert "Memory safety" not in write_issue(finding(), "")


def test_each_tool_is_named_with_what_it_came_to() -> None:
    assert memory_safety(rich_finding()).splitlines()[0] == (
        "The script above under NVIDIA's `compute-sanitizer`: "
        "memcheck 769 errors, racecheck no errors and 1 warning, initcheck 1 error before it was cut short."
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"errors": 1}, "1 error"),
        ({"errors": 2, "warnings": 3}, "2 errors and 3 warnings"),
        ({"errors": 5, "complete": False}, "5 errors before it was cut short"),
    ],
)
def test_what_a_tool_came_to_in_words(changes: dict[str, Any], words: str) -> None:
    assert outcome(SanitizerReport(tool="memcheck", **changes)) == words


def test_kinds_of_errors_are_a_table_which_an_issue_folds_away() -> None:
    rows = [cells(line) for line in memory_safety(rich_finding()).splitlines() if line.startswith("|")]
    assert rows[2:] == [
        ["memcheck", "`Invalid __global__ read of size 2 bytes, out of bounds`", "`gemm<float, (int)64>`", "5"],
        ["racecheck", "`race`", "-", "1"],
    ]
    folded = memory_safety(rich_finding(), fold=True)
    assert folded in write_issue(rich_finding(), "")
    before, fold, table = folded.partition("<details><summary>What it reported</summary>")
    assert fold
    assert "|" not in before
    assert table.rstrip().endswith("</details>")
    assert "<details>" not in memory_safety(finding(sanitizer=(report(),)), fold=True)


def test_what_an_uninitialized_read_means_is_said_where_there_is_one() -> None:
    assert "by itself it does not say that a result is wrong" in section(report("initcheck", 1))
    assert "initcheck reports every read" not in section(report("initcheck"), report("memcheck", 1))


def test_a_tool_under_which_the_defect_may_not_have_shown_is_named() -> None:
    assert "Under `memcheck`, `racecheck` the script ended without an error, so that the defect may not have shown." in section(
        report(failed=False), report("racecheck", failed=False), report("initcheck")
    )
    assert "may not have shown" not in section(report())


@pytest.mark.parametrize("item", [*SANITIZED, SanitizerReport(tool="memcheck", errors=0)])
def test_json_round_trip(item: SanitizerReport) -> None:
    assert SanitizerReport.from_json(item.to_json()) == item


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"errors": -1}, "'errors' of a report of the sanitizer is not a count"),
        ({"complete": 1}, "'complete' of a report of the sanitizer is not true or false"),
        ({"reported": [{"kind": "a", "kernel": "b"}]}, "an item of 'reported' of a report of the sanitizer lacks 'count'"),
        ({"colour": "red"}, "a report of the sanitizer has an unknown member 'colour'"),
    ],
)
def test_what_is_malformed_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    data = report(reported=(ReportedError(kind="a", kernel="b", count=1),)).to_json() | changes
    with pytest.raises(RecordError, match=f"^{sentence}$"):
        SanitizerReport.from_json(data)
