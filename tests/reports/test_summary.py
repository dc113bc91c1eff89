"""The end of a run in lines."""

from __future__ import annotations

from pathlib import Path

from reports.issue import title
from reports.run import RunRecord
from reports.summary import summary_lines, where
from tests.reports.helpers import SYSTEM, finding

ROOT = Path("out")
RECORD = RunRecord(system=SYSTEM, note="", seed=5, budget=60.0, cases=1234, seconds=61.7, stop_reason="budget", surfaces={"b": 2, "a": 1})
LINK = "https://github.com/bitsandbytes-foundation/bitsandbytes/issues/1862"


def test_a_run_without_findings() -> None:
    assert list(summary_lines(RECORD, [], ROOT)) == [
        "1234 cases in 62 s (20/s) on bitsandbytes 0.50.2, cpu: a processor; stopped: budget; seed 5",
        "verdicts by surface: a 1, b 2",
        "0 new findings, 0 known, 0 unconfirmed",
    ]


def test_new_findings_come_first_each_with_its_folder() -> None:
    known, new = finding(known=LINK), finding(how="ValueError", observed=3)
    lines = list(summary_lines(RECORD, [known, new], ROOT))
    assert lines[2] == "1 new findings, 1 known, 0 unconfirmed"
    assert lines[3] == f"  NEW  {title(new)}  [3 cases]"
    assert lines[4].strip() == str(ROOT / "findings" / new.slug)
    assert lines[5] == f"  known  {title(known)}  [17 cases]"
    assert lines[6].strip() == f"{ROOT / 'findings' / known.slug}  ({LINK})"


def test_what_was_not_confirmed_is_listed_with_its_reason() -> None:
    entry = {"signature": finding().signature, "reason": "failed in 1 of 3 fresh processes"}
    record = RunRecord(system=SYSTEM, note="", seed=1, budget=1.0, unconfirmed=[entry])
    lines = list(summary_lines(record, [], ROOT))
    assert lines[2].endswith("1 unconfirmed")
    assert lines[3] == f"  unconfirmed  {finding().signature}: failed in 1 of 3 fresh processes"


def test_a_run_that_ended_at_once() -> None:
    record = RunRecord(system=SYSTEM, note="", seed=1, budget=1.0)
    assert next(summary_lines(record, [], ROOT)).startswith("0 cases in 0 s (0/s)")


def test_every_line_is_one_line() -> None:
    lines = list(summary_lines(RECORD, [finding(how="a\nb"), finding(how="c\r\nd", known=LINK)], ROOT))
    assert not any("\n" in line or "\r" in line for line in lines)


def test_the_hardware_in_a_few_words() -> None:
    assert where(SYSTEM) == "cpu: a processor"
    assert where({**SYSTEM, "device": "cuda", "gpu": "NVIDIA H100"}) == "cuda: NVIDIA H100"
    assert where({"device": "cpu"}) == "cpu: "
