"""On which devices a defect was not seen, of runs that were merged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.finding import Finding
from reports.merge import merge, united
from reports.run import MERGED, RunRecord
from reports.stored import Observation, StoredFinding, StoredRun, read_run
from tests.reports.helpers import SYSTEM, finding
from tests.reports.stored_runs import SCRIPT, observation, record, write_run

SYSTEMS = {name: {**SYSTEM, "device": "cuda", "gpu": name, "bitsandbytes": "0.50.2"} for name in ("H200", "T4", "L4")}
PATH = finding().path


def on(name: str, **changes: Any) -> Finding:
    return finding(system=SYSTEMS[name], **changes)


def run_on(name: str, *found: Finding, **changes: Any) -> StoredRun:
    """A run with 40 verdicts of the path that defects of these tests are on."""
    values: dict[str, Any] = {"system": SYSTEMS.get(name, SYSTEM), "paths": {PATH: 40}}
    stored = {item.signature: StoredFinding(item, SCRIPT) for item in found}
    return StoredRun(root=Path("nowhere"), record=record(**{**values, **changes}), findings=stored, scripts={}, observations=())


def told(*runs: StoredRun) -> dict[str, int]:
    """What the merge of runs says of its one finding."""
    (item,) = united(runs).findings
    return item.finding.not_seen_on


def test_one_type_saw_it_and_the_others_were_asked() -> None:
    runs = [run_on("H200", on("H200")), run_on("T4"), run_on("T4"), run_on("L4", paths={PATH: 1})]
    assert told(*runs) == told(*reversed(runs)) == {"T4": 80, "L4": 1}


def test_shards_of_its_own_type_that_did_not_see_it_say_nothing() -> None:
    assert told(run_on("H200", on("H200")), run_on("H200")) == {}


def test_who_saw_it_in_one_shard_of_two_is_not_among_those_who_did_not() -> None:
    assert told(run_on("H200", on("H200")), run_on("T4", on("T4")), run_on("T4"), run_on("L4")) == {"L4": 40}


CASES: dict[str, dict[str, Any]] = {
    "another path": {"paths": {"gemv_4bit": 40}},
    "another release": {"system": {**SYSTEMS["T4"], "bitsandbytes": "0.49.2"}},
    "the CPU": {"system": SYSTEM},
    "a merge, whose system is that of one run": {"stop_reason": MERGED},
    "nothing at all": {"paths": {}},
}


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
def test_who_was_asked_something_else_is_no_evidence(changes: dict[str, Any]) -> None:
    assert told(run_on("H200", on("H200")), run_on("T4", **changes)) == {}


def test_who_was_killed_before_it_said_what_it_ran_is_no_evidence() -> None:
    silent = StoredRun(root=Path("nowhere"), record=None, findings={}, scripts={}, observations=())
    assert told(run_on("H200", on("H200")), silent) == {}


def test_who_saw_a_failure_of_the_kind_and_did_not_confirm_it_is_no_evidence() -> None:
    item = on("H200")
    line = json.dumps(observation(item.path, item.symptom))
    observed = Observation(line, item.case, on("T4", triggers={}).signature)
    other = run_on("T4")
    seen = StoredRun(root=other.root, record=other.record, findings={}, scripts={}, observations=(observed,))
    assert told(run_on("H200", item), other) == {"T4": 40}
    assert told(run_on("H200", item), other, seen) == {}


@pytest.mark.parametrize(("state", "expected"), [("seen", {}), ("looks fixed", {"T4": 40}), ("not met", {"T4": 40})])
def test_who_knows_it_already_is_no_evidence(state: str, expected: dict[str, int]) -> None:
    row = {"title": on("H200").signature, "link": "", "reason": "", "cases": 3, "state": state}
    assert told(run_on("H200", on("H200")), run_on("T4", known=[row])) == expected


def test_a_merge_of_merges_keeps_it_until_somebody_sees_it() -> None:
    before = on("H200", not_seen_on={"T4": 100, "L4": 7})
    merged: RunRecord = record(system=SYSTEMS["H200"], paths={PATH: 500}, stop_reason=MERGED)
    whole = run_on("H200", before)
    first = StoredRun(root=whole.root, record=merged, findings=whole.findings, scripts={}, observations=())
    assert told(first, run_on("T4")) == {"T4": 140, "L4": 7}
    assert told(first, run_on("T4", on("T4"))) == {"L4": 7}


@given(st.lists(st.tuples(st.sampled_from(sorted(SYSTEMS)), st.booleans(), st.integers(0, 9)), min_size=1, max_size=6))
def test_nobody_both_saw_it_and_did_not(parts: list[tuple[str, bool, int]]) -> None:
    runs = [run_on(name, *([on(name)] if saw else []), paths={PATH: count}) for name, saw, count in parts]
    for item in united(runs).findings:
        saw = {name for name, seen, _ in parts if seen}
        asked = {name for name, _, count in parts if count} - saw
        assert set(item.finding.not_seen_on) == asked


def test_it_is_on_disk(tmp_path: Path) -> None:
    item = on("H200")
    one = write_run(tmp_path / "a", [item], run=record(system=SYSTEMS["H200"], paths={PATH: 40}))
    two = write_run(tmp_path / "b", run=record(system=SYSTEMS["T4"], paths={PATH: 30}))
    merge([one, two], tmp_path / "m", pytest.fail)
    assert read_run(tmp_path / "m", pytest.fail).findings[item.signature].finding.not_seen_on == {"T4": 30}
    text = (tmp_path / "m" / "findings" / item.slug / "issue.md").read_text(encoding="utf-8")
    assert "Seen on H200 only. Not seen on T4 (30 verdicts), where the same release judged `matmul_4bit`." in text
