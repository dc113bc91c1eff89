"""Defects that one type of device shows, in words."""

from __future__ import annotations

from typing import Any

import pytest

from reports.extent import Sighting
from reports.finding import Finding
from reports.issue import write_issue
from reports.machines import system_info
from reports.only_on import not_seen, only_on
from tests.reports.helpers import NASTY, SYSTEM, finding
from tests.reports.markdown import parse

H200 = {**SYSTEM, "device": "cuda", "gpu": "NVIDIA H200"}
OLDER = {**H200, "bitsandbytes": "0.49.2"}
L4 = {**SYSTEM, "device": "cuda", "gpu": "NVIDIA L4"}


def seen(*systems: dict[str, str], **changes: Any) -> Finding:
    sightings = tuple(Sighting(system=system, observed=2) for system in systems)
    return finding(**{"system": systems[0], "sightings": sightings, "not_seen_on": {"Tesla T4": 1200, "NVIDIA A10": 1}, **changes})


OTHERS = "Not seen on NVIDIA A10 (1 verdict) and Tesla T4 (1200 verdicts), where the same release judged `matmul_4bit`."


@pytest.mark.parametrize("systems", [(H200,), (H200, OLDER)])
def test_one_type(systems: tuple[dict[str, str], ...]) -> None:
    assert only_on(seen(*systems)) == "NVIDIA H200"
    assert not_seen(seen(*systems)) == f"Seen on NVIDIA H200 only. {OTHERS}"


def test_several_types() -> None:
    assert only_on(seen(H200, L4)) == ""
    assert not_seen(seen(H200, L4)) == OTHERS


def test_nothing_is_said_where_nobody_else_was_asked() -> None:
    alone = seen(H200, not_seen_on={})
    assert (only_on(alone), not_seen(alone)) == ("", "")
    assert "only" not in system_info(alone)


def test_the_issue_says_so_after_the_machine() -> None:
    lines = write_issue(seen(H200), "").splitlines()
    begin, end = lines.index("### System Info"), lines.index("### Reproduction")
    assert f"Seen on NVIDIA H200 only. {OTHERS}" in lines[begin:end]
    assert "Seen on:" not in lines


def test_a_name_from_outside_is_no_markup() -> None:
    outside, _ = parse(write_issue(seen(H200, not_seen_on={NASTY: 1}), ""))
    assert [line for line in outside if line.startswith("# ")] == outside[:1]
