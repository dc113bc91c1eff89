"""Several runs as one: each defect once, every count added, nothing lost that was announced."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.errors import MINIMAL, WORST, ErrorGrid
from reports.extent import Sighting, Worst
from reports.finding import Finding, read_json
from reports.issue import write_issue
from reports.merge import Merged, merge, united
from reports.previous import Previous
from reports.run import ReportsError, RunDirectory
from reports.sanitizer import SanitizerReport
from reports.space import Space
from reports.stored import Observation, StoredFinding, StoredRun, _observation, read_run
from reports.unconfirmed import CUT_SHORT, MISSING, kind
from strategies.case import Activation, Case, PackedView, Weight
from tests.reports.helpers import SYSTEM, finding
from tests.reports.stored_runs import SCRIPT, contents, observation, of, record, sized, unverified, write_run

OTHER_SYSTEM = {**SYSTEM, "bitsandbytes": "0.49.2"}


def merged(into: Path, *roots: Path) -> Merged:
    """Merge without a warning."""
    return merge(roots, into, pytest.fail)


def quietly(into: Path, *roots: Path) -> Merged:
    """Merge directories that are not whole."""
    return merge(roots, into, lambda warning: None)  # noqa: ARG005


def findings_of(root: Path) -> list[Finding]:
    return [Finding.from_json(read_json(file)) for file in sorted(root.glob("findings/*/finding.json"))]


def listed(root: Path, name: str = "unconfirmed") -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = read_json(root / "run.json")[name]
    return entries


def test_the_smallest_case_is_kept_whole_with_what_the_others_add(tmp_path: Path) -> None:
    big = sized(8, observed=5, got="of the big one", worst=Worst(case=Case(seed=1), error_over_bound=3.0))
    small = sized(2, observed=1, got="of the small one", system=OTHER_SYSTEM, worst=Worst(case=Case(seed=2), error_over_bound=9.0))
    third = sized(4, observed=2, got="of the third", worst=Worst(case=Case(seed=3), error_over_bound=7.0))
    roots = [write_run(tmp_path / name, [item], [of(item)], record()) for name, item in (("a", big), ("b", small), ("c", third))]
    RunDirectory(roots[1]).write_script(small, "print('of the small one')\n")
    merged(tmp_path / "m", *roots)
    (kept,) = findings_of(tmp_path / "m")
    sightings = (Sighting(system=SYSTEM, observed=7), Sighting(system=OTHER_SYSTEM, observed=1))
    assert kept == dataclasses.replace(small, observed=8, sightings=sightings)
    folder = tmp_path / "m" / "findings" / kept.slug
    assert (folder / "repro.py").read_text(encoding="utf-8") == "print('of the small one')\n"
    assert (folder / "issue.md").read_text(encoding="utf-8") == write_issue(kept, "print('of the small one')\n")
    assert listed(tmp_path / "m", "findings") == [{"signature": kept.signature, "slug": kept.slug, "cases": 8}]
    assert listed(tmp_path / "m") == []


def test_where_the_errors_are_belongs_to_the_case_that_has_them() -> None:
    def grid(ratio: float) -> ErrorGrid:
        return ErrorGrid(shape=(1, 1), tile=(1, 1), ratios=((ratio,),), wrong=("x",))

    small = sized(2, worst=Worst(case=Case(seed=1), error_over_bound=3.0), errors={MINIMAL: grid(2.0), WORST: grid(3.0)})
    big = sized(8, worst=Worst(case=Case(seed=2), error_over_bound=9.0), errors={MINIMAL: grid(8.0), WORST: grid(9.0)})
    mute = sized(8, worst=Worst(case=Case(seed=2), error_over_bound=10.0))
    assert united([stored(small), stored(big)]).findings[0].finding.errors == {MINIMAL: grid(2.0), WORST: grid(9.0)}
    assert united([stored(small), stored(mute)]).findings[0].finding.errors == {MINIMAL: grid(2.0)}


def test_what_the_sanitizer_reported_belongs_to_the_script_that_it_checked() -> None:
    old, new = (SanitizerReport(tool="memcheck", errors=count) for count in (1, 2))
    race = SanitizerReport(tool="racecheck", errors=0)
    first, again, larger = sized(2, sanitizer=(new,)), sized(2, sanitizer=(old, race)), sized(8, sanitizer=(old, race))
    assert united([stored(first), stored(again)]).findings[0].finding.sanitizer == (new, race)
    assert united([stored(sized(2)), stored(again)]).findings[0].finding.sanitizer == (old, race)
    assert united([stored(larger), stored(first)]).findings[0].finding.sanitizer == (new,)


def test_elements_of_weight_and_activation_count_then_the_length_of_the_json() -> None:
    few = Case(weight=Weight(out_features=4, in_features=4))
    many_rows = Case(weight=Weight(out_features=1, in_features=4), activation=Activation(leading=(9,)))
    longer = dataclasses.replace(few, seed=1000)
    for small, large in ((few, many_rows), (few, longer)):
        for order in ((small, large), (large, small)):
            runs = [stored(finding(case=case, triggers={}, model=None)) for case in order]
            assert united(runs).findings[0].finding.case == small


def stored(*findings: Finding, **changes: Any) -> StoredRun:
    values: dict[str, Any] = {
        "root": Path("nowhere"),
        "record": record(),
        "findings": {item.signature: StoredFinding(item, SCRIPT) for item in findings},
        "scripts": {},
        "observations": (),
    }
    return StoredRun(**{**values, **changes})


def test_sightings_of_one_system_are_added_up() -> None:
    one = sized(2, observed=5, sightings=(Sighting(system=OTHER_SYSTEM, observed=2), Sighting(system=SYSTEM, observed=3)))
    two = sized(2, observed=4)
    (kept,) = united([stored(one), stored(two)]).findings
    assert kept.finding.sightings == (Sighting(system=OTHER_SYSTEM, observed=2), Sighting(system=SYSTEM, observed=7))
    assert kept.finding.observed == 9


def test_a_verified_finding_is_kept_before_a_smaller_one_that_is_not() -> None:
    doubtful, sure = unverified(sized(2), observed=3), sized(8, observed=4)
    for order in ((doubtful, sure), (sure, doubtful)):
        whole = united([stored(item) for item in order])
        (kept,) = whole.findings
        assert kept.finding.verified
        assert (kept.finding.case, kept.finding.observed) == (sure.case, 7)
        assert whole.record.unconfirmed == []


def test_counts_are_added_and_the_rest_is_of_the_first(tmp_path: Path) -> None:
    one = record(seed=7, note="n", warnings=["w", "v"])
    two = record(seed=8, system=OTHER_SYSTEM, note="o", surfaces={"ops.gemm_4bit": 1, "x": 2}, child_start_seconds=0.75, warnings=["v"])
    whole = merged(tmp_path / "m", write_run(tmp_path / "a", run=one), write_run(tmp_path / "b", run=two)).record
    assert whole == record(
        seed=7,
        note="n; o",
        budget=120.0,
        cases=20,
        surfaces={"ops.gemm_4bit": 5, "nn.Linear4bit": 1, "x": 2},
        paths={"linear4bit": 2},
        rulings={"valid": 10},
        children_replaced=4,
        child_start_seconds=0.75,
        seconds=119.0,
        stop_reason="merged",
        warnings=["w", "v"],
    )
    assert read_json(tmp_path / "m" / "run.json")["format_version"] == 3


def test_what_was_explored_is_added_the_last_date_holds_and_time_has_no_sum() -> None:
    space = Space(cases={"rows": {"0": 3}}, failed={"rows": {"0": 1}})
    previous = Previous(date="a", findings=[])
    one = record(date="2026-01-02", throughput=[[0.0, 0], [9.0, 10]], space=space, previous=previous)
    two = record(date="2026-01-01", throughput=[[0.0, 0]], space=space)
    whole = united([stored(record=one), stored(record=two)]).record
    assert (whole.date, whole.throughput, whole.previous) == ("2026-01-02", [], None)
    assert whole.space == Space(cases={"rows": {"0": 6}}, failed={"rows": {"0": 2}})


def test_rows_of_known_issues_are_united_by_title() -> None:
    def row(title: str, state: str, cases: int = 0) -> dict[str, Any]:
        return {"title": title, "link": "l", "reason": "r", "cases": cases, "state": state}

    one = [row("a", "not met"), row("b", "looks fixed"), row("c", "seen", 3), row("d", "not met")]
    two = [row("c", "looks fixed"), row("b", "not met"), row("a", "seen", 2), row("e", "seen", 1)]
    whole = united([stored(record=record(known=one)), stored(record=record(known=two))]).record.known
    assert whole == [row("a", "seen", 2), row("b", "looks fixed"), row("c", "seen", 3), row("d", "not met"), row("e", "seen", 1)]


def entry(signature: str, reason: str = "why", **more: str) -> dict[str, Any]:
    return {"signature": signature, "slug": "", "reason": reason, **more}


def test_what_is_unconfirmed_is_listed_once_and_not_if_another_run_confirmed_it() -> None:
    found = sized(2)
    one = record(unconfirmed=[entry("s | p | hang | triggers: none", rate="2 of 13"), entry(found.signature)])
    two = record(unconfirmed=[entry("s | p | hang | triggers: none", "another reason"), entry("s | q | hang | triggers: none")])
    whole = united([stored(record=one), stored(record=two), stored(found)]).record.unconfirmed
    assert whole == [entry("s | p | hang | triggers: none", rate="2 of 13"), entry("s | q | hang | triggers: none")]


def test_a_finding_that_is_not_verified_is_listed_even_if_its_run_was_killed(tmp_path: Path) -> None:
    rare = sized(2, symptom="hang", reproduced=1)
    items = [unverified(sized(2)), rare, dataclasses.replace(sized(2, symptom="wrong shape"), script=None)]
    root = write_run(tmp_path / "a", items, run=record(stop_reason="running"))
    merged(tmp_path / "m", root)
    told = {item["signature"]: item for item in listed(tmp_path / "m")}
    assert told[items[0].signature]["reason"] == "failed in 3 of 3 fresh processes, with a script with exit status 0"
    assert told[rare.signature]["rate"] == "1 of 3"
    assert told[items[2].signature]["reason"] == "failed in 3 of 3 fresh processes, with no script"
    assert listed(tmp_path / "m", "findings") == []
    assert len(findings_of(tmp_path / "m")) == 3


@pytest.mark.parametrize(
    "run", [None, record(stop_reason="running"), record(stop_reason="interrupted")], ids=["none", "running", "interrupted"]
)
def test_what_a_killed_run_saw_is_not_lost(tmp_path: Path, run: Any) -> None:
    confirmed = sized(2)
    seen = [
        of(confirmed),
        observation("gemv_4bit", "hang", case=Case(packed=PackedView.TRANSPOSED, weight=Weight(out_features=9))),
        observation("gemv_4bit", "hang", case=Case(bias=True)),
        observation("gemv_4bit", "unexpected exception", "ValueError"),
        observation("gemv_4bit", "unexpected exception", "KeyError"),
        observation("gemv_4bit", "process died", "SIGABRT"),
        observation("gemv_4bit", "process died", "SIGSEGV"),
    ]
    root = write_run(tmp_path / "a", [confirmed], seen, run)
    under_way = finding("gemv_4bit", "hang", model=None)
    RunDirectory(root).write_script(under_way, "print('under way')\n")
    quietly(tmp_path / "m", root)
    told = sorted(listed(tmp_path / "m"), key=lambda item: str(item["signature"]))
    assert told == [
        entry(f"functional.gemv_4bit | gemv_4bit | {rest}", CUT_SHORT)
        for rest in (
            "hang | triggers: bias=True",
            "process died | triggers: none",
            "unexpected exception (KeyError) | triggers: none",
            "unexpected exception (ValueError) | triggers: none",
        )
    ]
    assert (tmp_path / "m" / "findings" / under_way.slug / "repro.py").read_text(encoding="utf-8") == "print('under way')\n"
    assert len((tmp_path / "m" / "observations.jsonl").read_text(encoding="utf-8").splitlines()) == len(seen)


def test_a_script_without_a_finding_gives_way_to_the_finding(tmp_path: Path) -> None:
    killed = tmp_path / "a"
    RunDirectory(killed).write_script(sized(2), "print('under way')\n")
    for order in ((killed, tmp_path / "b"), (tmp_path / "b", killed)):
        write_run(tmp_path / "b", [sized(2)], run=record())
        quietly(tmp_path / "m", *order)
        assert (tmp_path / "m" / "findings" / sized(2).slug / "repro.py").read_text(encoding="utf-8") == SCRIPT


def test_what_one_run_left_open_may_be_settled_by_another(tmp_path: Path) -> None:
    killed = write_run(tmp_path / "a", observations=[of(sized(2)), observation("matmul_4bit"), observation("gemv_4bit")])
    lately = record(unconfirmed=[entry("functional.gemv_4bit | gemv_4bit | hang | triggers: bias=True", "seen too late")])
    other = write_run(tmp_path / "b", [sized(8)], run=lately)
    quietly(tmp_path / "m", killed, other)
    assert [item["reason"] for item in listed(tmp_path / "m")] == ["seen too late", CUT_SHORT]
    assert kind(listed(tmp_path / "m")[1]["signature"]) == "functional.matmul_4bit | matmul_4bit | hang"


def test_an_open_observation_that_was_merged_before_is_settled_later(tmp_path: Path) -> None:
    found = finding("gemv_4bit", "hang", model=None)
    quietly(tmp_path / "m", write_run(tmp_path / "a", observations=[of(found), observation("matmul_4bit")]))
    assert [item["reason"] for item in listed(tmp_path / "m")] == [CUT_SHORT, CUT_SHORT]
    merged(tmp_path / "m", tmp_path / "m")
    assert [item["reason"] for item in listed(tmp_path / "m")] == [CUT_SHORT, CUT_SHORT]
    merged(tmp_path / "m", tmp_path / "m", write_run(tmp_path / "b", [found], run=record()))
    assert [kind(item["signature"]) for item in listed(tmp_path / "m")] == ["functional.matmul_4bit | matmul_4bit | hang"]


def test_a_run_that_ended_has_said_what_became_of_its_observations(tmp_path: Path) -> None:
    """A row of the known issues explains it, for instance; that it was not confirmed would be wrong."""
    merged(tmp_path / "m", write_run(tmp_path / "a", observations=[observation()], run=record()))
    assert listed(tmp_path / "m") == []
    assert len((tmp_path / "m" / "observations.jsonl").read_text(encoding="utf-8").splitlines()) == 1


def test_a_finding_whose_folder_is_gone_is_listed_as_that(tmp_path: Path) -> None:
    found = sized(2)
    root = write_run(tmp_path / "a", run=record(findings=[{"signature": found.signature, "slug": found.slug, "cases": 4}]))
    merged(tmp_path / "m", root)
    assert listed(tmp_path / "m") == [{"signature": found.signature, "slug": found.slug, "reason": MISSING}]
    merged(tmp_path / "m", tmp_path / "m", write_run(tmp_path / "b", [found], run=record()))
    assert listed(tmp_path / "m") == []


def test_merging_one_directory_again_changes_nothing(tmp_path: Path) -> None:
    root = write_run(tmp_path / "a", [sized(2), finding()], [of(finding()), observation()], record(stop_reason="running"))
    first = merged(tmp_path / "m", root)
    before = contents(tmp_path / "m")
    assert merged(tmp_path / "m", root) == first
    assert merged(tmp_path / "m", tmp_path / "m") == first
    assert merged(tmp_path / "n", tmp_path / "m", tmp_path / "m" / "findings" / "..") == first
    assert contents(tmp_path / "m") == contents(tmp_path / "n") == before
    assert merged(root, root).record == first.record
    assert contents(root) == before


def test_a_merge_into_one_of_the_inputs_reads_all_before_it_writes(tmp_path: Path) -> None:
    small, big = sized(2, observed=1), sized(8, observed=5)
    one = write_run(tmp_path / "a", [big], [of(big)], record())
    two = write_run(tmp_path / "b", [small], [of(small)], record())
    apart = merged(tmp_path / "m", one, two)
    assert merged(one, one, two) == apart
    assert contents(one) == contents(tmp_path / "m")
    (kept,) = findings_of(one)
    assert (kept.case, kept.observed) == (small.case, 6)


def test_a_merge_may_grow(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a", [sized(2)], [of(sized(2))], record())
    two = write_run(tmp_path / "b", [finding()], [of(finding())], record())
    merged(tmp_path / "m", one)
    assert len(merged(tmp_path / "m", one, two).findings) == 2
    assert merged(tmp_path / "m", tmp_path / "m", one).record.cases == 30


@pytest.mark.parametrize("left", ["a finding", "an observation", "a run"])
def test_reports_that_would_be_lost_are_not_overwritten(tmp_path: Path, left: str) -> None:
    one = write_run(tmp_path / "a", [sized(2)], [of(sized(2))], record())
    if left == "a run":
        write_run(tmp_path / "m", run=record())
    else:
        two = write_run(tmp_path / "b", [finding()] if left == "a finding" else [], [observation()], record())
        merged(tmp_path / "m", one, two)
    before = contents(tmp_path / "m")
    with pytest.raises(
        ReportsError, match=r"holds reports that are not among those to be merged; name it as one of them, or write elsewhere$"
    ):
        merged(tmp_path / "m", one)
    assert contents(tmp_path / "m") == before


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ReportsError, match=r"^cannot write to the reports directory "):
        merged(tmp_path / "file", write_run(tmp_path / "a", run=record()))


def test_a_finding_without_a_script_keeps_its_record(tmp_path: Path) -> None:
    root = write_run(tmp_path / "a", [sized(2)], run=record())
    (root / "findings" / sized(2).slug / "repro.py").unlink()
    merged(tmp_path / "m", root)
    assert [path.name for path in (tmp_path / "m" / "findings" / sized(2).slug).iterdir()] == ["finding.json"]


def test_what_has_nothing_at_all_merges_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "a" / "findings").mkdir(parents=True)
    whole = quietly(tmp_path / "m", tmp_path / "a")
    assert (whole.record.system, whole.record.seed, whole.record.cases, whole.findings) == ({}, 0, 0, ())
    assert read_run(tmp_path / "m", print).record == whole.record


PATHS = ("gemv_4bit", "matmul_4bit")


@st.composite
def found(draw: st.DrawFn) -> Finding:
    """A finding of one of two signatures."""
    worst = draw(st.none() | st.integers(1, 3))
    item = finding(
        draw(st.sampled_from(PATHS)),
        case=Case(weight=Weight(out_features=draw(st.integers(1, 3)))),
        triggers={},
        model=None,
        observed=draw(st.integers(1, 9)),
        system=draw(st.sampled_from([SYSTEM, OTHER_SYSTEM])),
        worst=None if worst is None else Worst(case=Case(seed=worst), error_over_bound=float(worst)),
    )
    return item if draw(st.booleans()) else unverified(item)


seen = st.builds(observation, st.sampled_from(PATHS), st.sampled_from(["hang", "wrong value"]))


@st.composite
def runs(draw: st.DrawFn) -> StoredRun:
    """A run: what it found, and what it saw if it was killed."""
    items = {item.signature: item for item in draw(st.lists(found(), max_size=2))}
    reason = draw(st.sampled_from(["time", "running", None]))
    ended = None if reason is None else record(cases=draw(st.integers(0, 9)), seconds=float(draw(st.integers(0, 9))), stop_reason=reason)
    lines = draw(st.lists(seen, max_size=3))
    return stored(*items.values(), record=ended, observations=tuple(as_stored(line) for line in lines))


def as_stored(line: dict[str, Any]) -> Observation:
    return _observation(json.dumps(line))


def essence(whole: Merged) -> dict[str, Any]:
    """What must not depend on the order in which runs are named."""
    findings = [item.finding for item in whole.findings]
    return {
        "findings": {item.signature: (item.observed, item.case, item.worst, item.verified) for item in findings},
        "sightings": {(item.signature, str(one.system)): one.observed for item in findings for one in item.sightings},
        "unconfirmed": {item["signature"] for item in whole.record.unconfirmed},
        "new": {item["signature"] for item in whole.record.findings},
        "counts": (whole.record.cases, whole.record.seconds, whole.record.surfaces, whole.record.rulings),
        "observations": sorted(whole.observations),
    }


@given(st.lists(runs(), min_size=1, max_size=3))
def test_the_order_of_the_runs_does_not_matter(several: Sequence[StoredRun]) -> None:
    expected = essence(united(several))
    for order in itertools.permutations(several):
        assert essence(united(order)) == expected
    assert sum(item.observed for items in several for item in (one.finding for one in items.findings.values())) == sum(
        observed for observed, *_ in expected["findings"].values()
    )


@given(st.lists(runs(), min_size=2, max_size=3))
def test_merging_in_two_steps_is_merging_at_once(several: Sequence[StoredRun]) -> None:
    once = united(several)
    first = united(several[:-1])
    again = stored(
        record=first.record,
        findings={item.finding.signature: item for item in first.findings},
        observations=tuple(as_stored(json.loads(line)) for line in first.observations),
    )
    assert essence(united([again, several[-1]])) == essence(once)


@given(st.lists(runs(), min_size=1, max_size=3))
def test_nothing_that_was_seen_is_lost(several: Sequence[StoredRun]) -> None:
    whole = united(several)
    told = {kind(item.finding.signature) for item in whole.findings} | {kind(item["signature"]) for item in whole.record.unconfirmed}
    assert {kind(item.signature) for run in several if run.cut_short for item in run.observations} <= told
    listed_once = [item["signature"] for item in (*whole.record.findings, *whole.record.unconfirmed)]
    assert len(set(listed_once)) == len(listed_once)
    assert {item.finding.signature for item in whole.findings} <= set(listed_once)
