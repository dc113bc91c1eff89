"""The end of a run in lines."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from hypothesis import given

from reports.affected import sentence
from reports.issue import title
from reports.run import RunRecord
from reports.summary import summary_lines, where
from tests.reports.helpers import SYSTEM, finding, hostile, rich_finding

ROOT = Path("out")
RECORD = RunRecord(system=SYSTEM, note="", seed=5, budget=60.0, cases=1234, seconds=61.7, stop_reason="budget", surfaces={"b": 2, "a": 1})
LINK = "https://github.com/bitsandbytes-foundation/bitsandbytes/issues/1862"


def known(title: str, state: str = "seen", cases: int = 17, link: str = LINK) -> dict[str, Any]:
    return {"title": title, "link": link, "reason": "the docstring says so", "cases": cases, "state": state}


def lines_of(**changes: Any) -> list[str]:
    return list(summary_lines(dataclasses.replace(RECORD, **changes), [], ROOT))


def test_a_run_without_findings() -> None:
    assert lines_of() == [
        "1234 cases in 62 s (20/s) on bitsandbytes 0.50.2, cpu: a processor; stopped: budget; seed 5",
        "verdicts by surface: a 1, b 2",
        "0 new findings, 0 known defects seen, 0 flaky, 0 unconfirmed",
    ]


def test_new_findings_each_with_its_folder_and_what_is_affected() -> None:
    plain, rich = finding(how="ValueError", observed=1), rich_finding()
    assert list(summary_lines(RECORD, [plain, rich], ROOT))[2:] == [
        "2 new findings, 0 known defects seen, 0 flaky, 0 unconfirmed",
        f"  NEW  {title(plain)}  [1 case]",
        f"       {ROOT / 'findings' / plain.slug}",
        f"  NEW  {title(rich)}  [17 cases]",
        f"       {ROOT / 'findings' / rich.slug}",
        f"       {sentence(rich)}",
    ]


def test_a_defect_that_one_type_of_device_shows_is_marked() -> None:
    item = finding(not_seen_on={"another one": 3})
    assert list(summary_lines(RECORD, [item], ROOT))[-1] == "       seen on a processor only"


def test_known_defects_that_were_seen_are_a_line_each() -> None:
    rows = [known("gemv ignores strides"), known("one element", cases=1, link="unreported"), known("not drawn", "not met", 0)]
    assert lines_of(known=rows)[2:] == [
        "0 new findings, 2 known defects seen, 0 flaky, 0 unconfirmed",
        "known defects seen: 2 of 3 rows that apply here",
        f"  known  gemv ignores strides  [17 cases]  ({LINK})",
        "  known  one element  [1 case]  (unreported)",
    ]


def test_a_known_defect_that_was_not_seen_although_its_case_ran_is_said_loudly() -> None:
    rows = [known("gone", "looks fixed", 0), known("still there")]
    assert lines_of(known=rows)[2:] == [
        "0 new findings, 1 known defects seen, 0 flaky, 0 unconfirmed",
        "known defects seen: 1 of 2 rows that apply here",
        f"  known  still there  [17 cases]  ({LINK})",
        f"  FIXED?  looks fixed in bitsandbytes 0.50.2: gone  ({LINK})",
    ]


def test_what_was_not_confirmed_is_listed_with_its_reason_and_what_is_flaky_apart() -> None:
    name = finding().signature
    entries = [
        {"signature": name, "slug": "", "reason": "seen too late"},
        {"signature": name, "slug": "a", "reason": "failed in some fresh processes only", "rate": "2 of 13"},
    ]
    assert lines_of(unconfirmed=entries)[2:] == [
        "0 new findings, 0 known defects seen, 1 flaky, 1 unconfirmed",
        f"  flaky  {name}  [2 of 13]: failed in some fresh processes only",
        f"  unconfirmed  {name}: seen too late",
    ]


def test_warnings_come_last() -> None:
    lines = lines_of(warnings=["No case reached gemv.", "The GPU is shared."], known=[known("a")], unconfirmed=[])
    assert lines[-2:] == ["warning: No case reached gemv.", "warning: The GPU is shared."]


def test_a_run_that_ended_at_once() -> None:
    assert lines_of(cases=0, seconds=0.0)[0].startswith("0 cases in 0 s (0/s)")


@given(hostile)
def test_every_line_is_one_line_that_a_terminal_prints(text: str) -> None:
    record = dataclasses.replace(
        RECORD,
        known=[known(text, link=text), known(text, "looks fixed", link=text)],
        unconfirmed=[{"signature": text, "reason": text}, {"signature": text, "reason": text, "rate": text}],
        warnings=[text],
    )
    lines = list(summary_lines(record, [rich_finding(how=text, surface=text, triggers={text: text})], ROOT))
    assert all(line.isprintable() for line in lines)
    assert len(lines) == 3 + 3 + 3 + 2 + 1


def test_the_hardware_in_a_few_words() -> None:
    assert where(SYSTEM) == "cpu: a processor"
    assert where({**SYSTEM, "device": "cuda", "gpu": "NVIDIA H100"}) == "cuda: NVIDIA H100"
    assert where({"device": "cpu"}) == "cpu: "
