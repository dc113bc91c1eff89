"""A session: what it runs first, what it writes and when, and what it says at the end. Without a library or processes."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import strategies as st

from fuzz.campaign import session as module
from fuzz.campaign.budget import Budget
from fuzz.campaign.campaign import Candidate, Progress
from fuzz.campaign.confirm import Site
from fuzz.campaign.mixture import Property
from fuzz.campaign.session import Options, Session
from fuzz.engine.executor import HarnessError, Ready
from fuzz.engine.verdict import FailureKey, Symptom
from fuzz.triage.bug import Failure
from fuzz.triage.known import load
from reports.events import read_events
from reports.files import write_json
from reports.finding import Finding, ScriptRun
from reports.launches import Launches
from reports.previous import Previous
from reports.run import ReportsError, RunDirectory, RunRecord
from reports.unconfirmed import CUT_SHORT, kind
from strategies.case import Activation, Case, Weight
from tests.fuzz.triage.planted import Plant, PlantedExecutor
from tests.reports.helpers import RARE, SYSTEM, finding
from tests.reports.stored_runs import observation, record, write_run

ODD = Plant("odd", lambda case: case.weight.in_features % 2 == 1)
BIAS = Plant("bias", lambda case: case.bias, symptom=Symptom.WRONG_SHAPE)
DRAWN = st.builds(Case, weight=st.builds(Weight, out_features=st.integers(1, 1000), in_features=st.integers(1, 1000)), bias=st.booleans())
CASES = [Property("a property", DRAWN)]
READY = Ready(library={}, system=SYSTEM, note="no GPU", seconds=0.25)
ODD_SIGNATURE = "functional.matmul_4bit | matmul_4bit | wrong value | triggers: weight.in_features=odd"


@dataclasses.dataclass
class StartedExecutor(PlantedExecutor):
    """An executor over planted defects with what a session asks of it beside running Cases."""

    replaced: int = 3
    cannot: str = ""
    closed: bool = False
    seen: list[Case] = dataclasses.field(default_factory=list)

    def start(self) -> Ready:
        if self.cannot:
            raise HarnessError(self.cannot)
        return READY

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def submit(self, case: Case, callback: Any, only: Any = None, skip: Any = ()) -> None:
        self.seen.append(case)
        super().submit(case, callback, only, skip)

    def run(self, case: Case, only: Any = None) -> Any:
        self.seen.append(case)
        return super().run(case, only)


@dataclasses.dataclass
class Confirmed:
    """In place of the pool: every candidate becomes a finding at once, with these changes."""

    site: Site
    directory: RunDirectory
    changes: dict[str, Any] = dataclasses.field(default_factory=dict)
    needs: float = 0.0
    findings: list[Finding] = dataclasses.field(default_factory=list)
    down: bool = False

    def add(self, candidate: Candidate) -> None:
        bug = candidate.bug
        symptom = bug.key.symptom.value
        self.findings.append(finding(symptom=symptom, case=bug.minimal, triggers=bug.triggers, model=None, **self.changes))

    def seconds_to_finish(self, more: FailureKey | None = None) -> float:
        return 0.0 if more is None else self.needs

    @property
    def confirmed(self) -> int:
        return sum(item.verified for item in self.findings)

    @property
    def found(self) -> list[Finding]:
        return list(self.findings)

    def finish(self) -> list[Finding]:
        return list(self.findings)

    def shutdown(self) -> None:
        self.down = True

    def abandon(self) -> list[Finding]:
        return list(self.findings)


@dataclasses.dataclass
class World:
    """Makes sessions over planted defects that write to a folder."""

    folder: Path
    executor: StartedExecutor
    confirmations: list[Confirmed] = dataclasses.field(default_factory=list)
    changes: dict[str, Any] = dataclasses.field(default_factory=dict)
    needs: float = 0.0

    @property
    def reports(self) -> Path:
        return self.folder / "reports"

    @property
    def run(self) -> RunRecord:
        return RunRecord.from_json(json.loads((self.reports / "run.json").read_text(encoding="utf-8")))

    @property
    def observations(self) -> list[dict[str, Any]]:
        file = self.reports / "observations.jsonl"
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in read_events(self.reports)]

    def confirmation(self, site: Site, directory: RunDirectory) -> Confirmed:
        self.confirmations.append(Confirmed(site, directory, self.changes, self.needs))
        return self.confirmations[-1]

    def session(self, on_observation: Callable[[Failure], None] = lambda failure: None, **options: Any) -> Session:  # noqa: ARG005
        values: dict[str, Any] = {"device": "cpu", "budget": 600.0, "seed": 5, "reports": self.reports, "most_cases": 30}
        session = Session(Options(**{**values, **options}), on_observation=on_observation)
        session.start()
        return session

    def ran(self, **options: Any) -> Session:
        """A session with one property that came to its end."""
        session = self.session(**options)
        session.explore(CASES, 1.0)
        session.finish()
        session.close()
        return session

    def rows(self, text: str) -> Any:
        file = self.folder / "known.toml"
        file.write_text(text, encoding="utf-8")
        return load(file)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path, StartedExecutor([ODD]))
    monkeypatch.setattr(module, "Executor", lambda device, watchdog, spares=1: world.executor)  # noqa: ARG005
    monkeypatch.setattr(module, "Confirmation", world.confirmation)
    return world


def row(signature: str = ODD_SIGNATURE, more: str = "") -> str:
    return f'[[issue]]\nsignature = "{signature}"\nlink = "https://example.org/1"\nversions = ">=0.48"\nreason = "a test"\n{more}\n'


def test_a_session_that_was_started_is_on_disk_as_running(world: World) -> None:
    session = world.session()
    run = world.run
    assert (run.stop_reason, run.cases, run.findings, run.seed, run.budget) == ("running", 0, [], 5, 600.0)
    assert (run.system, run.note, run.child_start_seconds) == (SYSTEM, "no GPU", 0.25)
    assert session.ready == READY
    assert world.confirmations[0].site.fork_seconds == 0.25


def test_a_run_from_beginning_to_end(world: World) -> None:
    session = world.ran()
    run = world.run
    assert run.stop_reason == "cases"
    assert 30 <= run.cases <= 38
    assert run.paths["matmul_4bit"] == run.cases
    assert run.rulings == {"valid": 8 * run.cases}
    assert run.children_replaced == 3
    assert 0 <= run.seconds < 60
    assert [entry["signature"] for entry in run.findings] == [item.signature for item in session.findings] == [ODD_SIGNATURE]
    assert run.findings[0]["slug"] == session.findings[0].slug
    assert run.findings[0]["cases"] == session.findings[0].observed
    assert (run.known, run.unconfirmed, run.warnings) == ([], [], [])
    assert dataclasses.asdict(session.record)["findings"] == run.findings
    assert world.executor.closed
    assert world.confirmations[0].down


@pytest.fixture
def surveyed(world: World, monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[Case], float]]:
    """What a session on a GPU hands to the survey, which sees one kernel of two."""
    asked: list[tuple[list[Case], float]] = []

    def survey(cases: Iterable[Case], executor: object, seconds: float) -> Launches:
        assert executor is world.executor
        asked.append((list(cases), seconds))
        return Launches(cases=len(asked[-1][0]), launched={"a": 1, "b": 0})

    monkeypatch.setattr(module, "survey", survey)
    monkeypatch.setattr(Session, "device", "cuda")
    return asked


def test_a_run_that_is_asked_to_looks_which_kernels_were_launched(world: World, surveyed: list[tuple[list[Case], float]]) -> None:
    world.ran(survey=True, budget=600.0)
    ((cases, seconds),) = surveyed
    assert seconds == 60.0, "a tenth of the budget"
    assert 0 < len(cases) <= 30
    assert set(cases) <= set(world.executor.seen)
    assert world.run.launches == Launches(cases=len(cases), launched={"a": 1, "b": 0})


def test_a_long_run_looks_no_longer_than_it_takes_and_keeps_that_time(world: World, surveyed: list[tuple[list[Case], float]]) -> None:
    session = world.session(survey=True, budget=36000.0)
    session.explore(CASES, 1.0)
    assert session.seconds_to_finish() == module.SURVEY_LIMIT
    session.finish()
    assert session.seconds_to_finish() == 0.0
    session.close()
    assert [seconds for _, seconds in surveyed] == [module.SURVEY_LIMIT]


def test_no_more_time_than_is_left_goes_into_it(world: World, surveyed: list[tuple[list[Case], float]]) -> None:
    world.ran(survey=True, budget=600.0, spent=595.0)
    ((_, seconds),) = surveyed
    assert 0.0 <= seconds <= 5.0


def test_a_second_search_adds_what_it_launches(world: World, surveyed: list[tuple[list[Case], float]]) -> None:
    session = world.session(survey=True)
    for share in (0.5, 1.0):
        session.explore(CASES, share)
        session.finish()
    session.close()
    assert len(surveyed) == 2
    assert world.run.launches.launched == {"a": 2, "b": 0}


@pytest.mark.parametrize("options", [{"survey": False}, {}])
def test_nobody_looks_unless_asked_to(world: World, surveyed: list[tuple[list[Case], float]], options: dict[str, bool]) -> None:
    world.ran(**options)
    assert surveyed == []
    assert world.run.launches == Launches()


def test_where_nobody_can_look_the_run_says_so(
    world: World, surveyed: list[tuple[list[Case], float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def survey(*_: object) -> Launches:
        raise FileNotFoundError("no library")

    monkeypatch.setattr(module, "survey", survey)
    world.ran(survey=True)
    assert surveyed == []
    assert world.run.warnings == ["which kernels were launched is not known: no library"]
    assert world.run.stop_reason == "cases"


def test_a_run_says_when_it_was_how_fast_and_where_it_has_been(world: World) -> None:
    world.ran()
    run = world.run
    assert datetime.fromisoformat(run.date).tzinfo == UTC
    assert run.throughput[0] == [0.0, 0]
    assert run.throughput[-1] == [run.seconds, run.cases]
    assert sum(run.space.cases["sizes"].values()) == run.cases
    assert 0 < sum(run.space.failed["sizes"].values()) < run.cases


def test_the_next_run_remembers_what_this_one_found(world: World) -> None:
    world.ran()
    first = world.run
    assert first.previous is None
    world.ran(seed=6)
    assert world.run.previous == Previous(date=first.date, system=SYSTEM, findings=first.findings)
    assert world.run.previous.signatures == {ODD_SIGNATURE}


def test_a_run_without_failures(world: World) -> None:
    world.executor.plants = []
    session = world.ran()
    assert (session.findings, world.run.findings, world.observations) == ([], [], [])


def test_what_is_spent_of_the_budget_is_not_there_any_more(world: World) -> None:
    session = Session(Options(device="cpu", budget=60.0, seed=1, reports=world.reports, spent=25.0))
    assert 30.0 < session.budget.left <= 35.0
    session.close()


def test_a_session_cannot_be_used_before_it_was_started(world: World) -> None:
    session = Session(Options(device="cpu", budget=1.0, seed=1, reports=world.reports))
    with pytest.raises(HarnessError, match="the session was not started"):
        session.explore(CASES, 1.0)
    assert session.expired == []
    session.close()
    assert not world.reports.exists()


def test_a_reports_directory_that_cannot_be_written(world: World) -> None:
    (world.folder / "file").write_text("", encoding="utf-8")
    with pytest.raises(ReportsError, match="cannot write to the reports directory"):
        world.session(reports=world.folder / "file" / "below")


def test_a_child_that_cannot_start(world: World) -> None:
    world.executor.cannot = "no usable GPU: there is none"
    with pytest.raises(HarnessError, match="no usable GPU: there is none"):
        world.session()
    assert not (world.reports / "run.json").exists()


def test_a_failure_is_on_disk_when_it_is_told(world: World) -> None:
    on_disk: list[int] = []
    session = world.session(on_observation=lambda _: on_disk.append(len(world.observations)))
    session.explore(CASES, 1.0)
    assert on_disk == [1]
    (line,) = world.observations
    assert Case.from_json(line["case"]).weight.in_features % 2 == 1
    assert line["verdict"]["path"] == "matmul_4bit"
    assert line["seed"] == 5
    assert line["number"] >= 1
    assert world.run.stop_reason == "running", "the run is not over"


def test_observations_of_several_runs_stay(world: World) -> None:
    world.ran()
    world.ran()
    assert len(world.observations) == 2


def test_progress_is_told_with_what_was_confirmed(world: World) -> None:
    told: list[tuple[int, int]] = []

    def on_progress(progress: Progress, budget: Budget) -> None:
        assert budget.seconds == 600.0
        told.append((progress.cases, progress.confirmed))

    session = Session(Options(device="cpu", budget=600.0, seed=5, reports=world.reports, most_cases=30), on_progress)
    session.start()
    session.explore(CASES, 1.0)
    assert [cases for cases, _ in told] == list(range(1, len(told) + 1))
    assert told[0][1] == 0
    assert told[-1][1] == 1


def test_run_json_is_written_while_the_run_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECORD_INTERVAL", -1.0)
    session = world.session()
    session.explore(CASES, 1.0)
    assert world.run.stop_reason == "running"
    assert world.run.cases >= 30


@pytest.mark.parametrize("most", [1, 20])
def test_a_number_of_cases_ends_the_run(world: World, most: int) -> None:
    world.executor.plants = []
    world.ran(most_cases=most)
    assert world.run.cases == most


def test_two_properties_share_the_cases(world: World) -> None:
    world.executor.plants = []
    session = world.session(most_cases=100)
    session.explore(CASES, 0.5)
    session.finish()
    first = world.run.cases
    session.explore(CASES, 1.0)
    session.finish()
    assert first == 50
    assert world.run.cases == 100


def test_two_properties_share_the_time(world: World) -> None:
    world.executor.plants = []
    session = world.session(most_cases=None, budget=6.0)
    session.explore(CASES, 0.25)
    assert 1.0 < session.budget.elapsed < 2.5
    session.explore(CASES, 1.0)
    assert 3.5 < session.budget.elapsed < 6.5
    session.finish()
    assert world.run.stop_reason == "time"


def test_where_the_number_of_cases_is_reached_nothing_more_is_drawn(world: World) -> None:
    world.executor.plants = []
    session = world.session(most_cases=10)
    session.explore(CASES, 1.0)
    session.explore(CASES, 1.0)
    assert session.record.cases == 10


def test_a_finding_is_returned_once(world: World) -> None:
    world.executor.plants = [ODD, BIAS]
    session = world.session(most_cases=None)
    for expected, plain in ((["wrong value"], False), (["wrong shape"], True), ([], True)):
        cases = DRAWN.map(lambda case, plain=plain: dataclasses.replace(case, bias=plain))  # type: ignore[misc]
        session.options = dataclasses.replace(session.options, most_cases=session.record.cases + 30)
        session.explore([Property("a property", cases)], 1.0)
        assert [item.symptom for item in session.finish()] == expected
    assert len(session.findings) == len(world.run.findings) == 2


def test_a_finding_belongs_to_the_property_that_drew_its_case(world: World) -> None:
    world.executor.plants = [ODD, BIAS]
    biased = Property("biased", DRAWN.map(lambda case: dataclasses.replace(case, bias=True)))
    plain = Property("plain", DRAWN.map(lambda case: dataclasses.replace(case, bias=False)), share=9)
    session = world.session(most_cases=60)
    session.explore([plain, biased])
    assert {item.symptom: session.drawn_for(item) for item in session.finish()} == {"wrong value": "plain", "wrong shape": "biased"}


def test_a_finding_of_the_corpus_belongs_to_no_property(world: World) -> None:
    world.executor.plants = [Plant("rare", lambda case: case.weight.in_features == 4321)]
    session = world.session(corpus={world.folder / "1.json": Case(weight=Weight(in_features=4321))})
    session.explore(CASES)
    assert [session.drawn_for(item) for item in session.finish()] == [""]


def test_the_corpus_is_run_first_and_once(world: World) -> None:
    world.executor.plants = []
    corpus = {world.folder / "1.json": Case(activation=Activation(leading=(7,))), world.folder / "2.json": Case(bias=True)}
    session = world.session(corpus=corpus)
    session.explore(CASES, 0.5)
    session.explore(CASES, 1.0)
    assert world.executor.seen[:2] == list(corpus.values())
    assert world.executor.seen.count(Case(activation=Activation(leading=(7,)))) == 1
    assert session.record.cases == len(world.executor.seen), "they count as Cases of the run"


def test_a_failure_of_the_corpus_is_a_finding_like_any_other(world: World) -> None:
    world.executor.plants = [Plant("rare", lambda case: case.weight.in_features == 4321)]
    session = world.ran(corpus={world.folder / "1.json": Case(weight=Weight(in_features=4321))})
    assert [item.case.weight.in_features for item in session.findings] == [4321]
    assert world.observations[0]["number"] == 1


def test_the_corpus_of_other_devices_is_not_run(world: World) -> None:
    known = world.rows(row(more='device = "cuda"\ncases = ["1.json"]'))
    path = (world.folder / "1.json").resolve()
    world.ran(known=known, corpus={path: Case(activation=Activation(leading=(7,)))})
    assert Case(activation=Activation(leading=(7,))) not in world.executor.seen


@pytest.mark.parametrize(("stop_reason", "again"), [(None, True), ("running", True), ("interrupted", True), ("time", False)])
def test_what_a_killed_run_left_open_is_run_again(world: World, stop_reason: str | None, again: bool) -> None:  # noqa: FBT001
    left = Case(weight=Weight(in_features=4321))
    run = None if stop_reason is None else record(stop_reason=stop_reason)
    write_run(world.reports, observations=[observation(case=left)], run=run)
    world.executor.plants = [Plant("rare", lambda case: case.weight.in_features == 4321)]
    session = world.ran()
    assert (world.executor.seen[0] == left) is again
    assert len(session.findings) == again


def test_what_is_in_the_corpus_and_left_open_is_run_once(world: World) -> None:
    case = Case(weight=Weight(in_features=4320))
    write_run(world.reports, observations=[observation(case=case)], run=record(stop_reason="running"))
    world.ran(corpus={world.folder / "1.json": case})
    assert world.executor.seen.count(case) == 1


def test_a_known_issue_is_counted_and_is_no_finding(world: World) -> None:
    session = world.ran(known=world.rows(row()))
    run = world.run
    (entry,) = run.known
    assert entry.pop("cases") > 3
    assert entry == {"title": ODD_SIGNATURE, "link": "https://example.org/1", "reason": "a test", "state": "seen"}
    assert (session.findings, run.findings, run.warnings, world.observations) == ([], [], [], [])


def test_a_known_issue_that_looks_fixed(world: World) -> None:
    world.executor.plants = []
    path = (world.folder / "1.json").resolve()
    world.ran(known=world.rows(row(more='cases = ["1.json"]')), corpus={path: Case()})
    assert [(entry["state"], entry["cases"]) for entry in world.run.known] == [("looks fixed", 0)]
    assert world.run.warnings == []


def test_a_known_issue_that_nothing_met_is_a_warning(world: World) -> None:
    world.executor.plants = []
    world.ran(known=world.rows(row()))
    assert [entry["state"] for entry in world.run.known] == ["not met"]
    assert world.run.warnings == [f"the known issue {ODD_SIGNATURE!r} matched nothing in this run, and no Case of it was run"]


def test_an_expired_row_explains_nothing_and_is_a_warning(world: World) -> None:
    session = world.ran(known=world.rows(row(more="expires = 2020-01-01")))
    assert [issue.title for issue in session.expired] == [ODD_SIGNATURE]
    assert world.run.known == []
    assert world.run.warnings == [f"the known issue {ODD_SIGNATURE!r} expired on 2020-01-01: look at it again"]
    assert [item.signature for item in session.findings] == [ODD_SIGNATURE]


def test_rows_of_other_releases_are_as_if_they_were_not_there(world: World) -> None:
    session = world.ran(known=world.rows(row().replace(">=0.48", "<0.50")))
    assert (world.run.known, world.run.warnings, session.expired) == ([], [], [])
    assert len(session.findings) == 1


@pytest.mark.parametrize(
    ("changes", "entry"),
    [
        ({"reproduced": 0, "script": None}, {"reason": "failed in 0 of 3 fresh processes"}),
        ({"script": None}, {"reason": "there is no script for it"}),
        ({"script": ScriptRun(exit_status=None, output="")}, {"reason": "its script did not end in time"}),
        ({"script": ScriptRun(exit_status=0, output="")}, {"reason": "its script ended with exit status 0, not 1"}),
        (
            RARE,
            {
                "reason": "it fails in some fresh processes and not in others",
                "rate": "2 of 13, 3 of 10 (side stream), 0 of 10 (busy device)",
            },
        ),
    ],
)
def test_what_is_not_confirmed_is_listed_with_the_reason(world: World, changes: dict[str, Any], entry: dict[str, str]) -> None:
    world.changes = changes
    session = world.ran()
    (listed,) = world.run.unconfirmed
    assert listed.pop("slug")
    assert listed == {"signature": ODD_SIGNATURE, **entry}
    assert (session.findings, world.run.findings) == ([], [])


def test_what_came_too_late_is_listed_once_for_each_kind(world: World) -> None:
    world.executor.plants = [ODD, BIAS]
    world.needs = math.inf
    session = world.ran()
    assert session.findings == []
    assert sorted(entry["signature"].split(" | ")[2] for entry in world.run.unconfirmed) == ["wrong shape", "wrong value"]
    assert {entry["reason"] for entry in world.run.unconfirmed} == {
        "seen too late to be reduced and confirmed; a larger budget gives it time"
    }
    assert all(entry.keys() == {"signature", "slug", "reason"} for entry in world.run.unconfirmed)
    assert len(world.observations) == 2


def test_what_did_not_come_back_is_listed(world: World) -> None:
    world.executor.plants = [Plant("once", lambda case: case.bias and world.executor.runs == 1)]
    write_run(world.reports, observations=[observation(case=Case(bias=True))], run=record(stop_reason="running"))
    session = world.ran()
    assert session.findings == []
    assert [entry["reason"] for entry in world.run.unconfirmed] == ["it did not come back when its Case was run again"]


def test_a_session_that_is_closed_in_the_middle_was_interrupted_and_keeps_what_is_confirmed(world: World) -> None:
    session = world.session()
    session.explore(CASES, 1.0)
    session.close()
    assert world.run.stop_reason == "interrupted"
    assert [entry["signature"] for entry in world.run.findings] == [ODD_SIGNATURE]
    assert world.executor.closed


def test_a_session_that_is_closed_between_two_properties_was_interrupted(world: World) -> None:
    session = world.session()
    session.explore(CASES, 0.5)
    session.finish()
    session.explore(CASES, 1.0)
    session.close()
    assert world.run.stop_reason == "interrupted"


def test_closing_twice_changes_nothing(world: World) -> None:
    session = world.ran()
    session.close()
    assert world.run.stop_reason == "cases"
    assert [event["event"] for event in world.events].count("finished") == 1


def test_events_are_written_from_the_start_to_the_end(world: World) -> None:
    session = world.ran()
    names = [event["event"] for event in world.events]
    assert (names[0], names[-1]) == ("started", "finished")
    assert names.count("finding") == len(session.findings) == 1
    assert names.index("observed") < names.index("finding")
    assert world.events[-1]["stop_reason"] == world.run.stop_reason


def test_what_was_announced_before_an_interrupt_is_named(world: World) -> None:
    def press(_: Failure) -> None:
        raise KeyboardInterrupt

    session = world.session(press)
    with pytest.raises(KeyboardInterrupt):
        session.explore(CASES, 1.0)
    session.close()
    (entry,) = world.run.unconfirmed
    assert kind(entry["signature"]) == kind(ODD_SIGNATURE)
    assert entry["reason"] == CUT_SHORT
    assert [event["event"] for event in world.events] == ["started", "observed", "finished"]


def test_what_was_confirmed_before_an_interrupt_is_not_called_open(world: World) -> None:
    session = world.session()
    session.explore(CASES, 1.0)
    session.close()
    assert world.run.findings
    assert world.run.unconfirmed == []


def test_a_session_in_which_nothing_was_drawn_says_why(world: World) -> None:
    world.session().close("nothing to draw")
    assert (world.run.stop_reason, world.run.unconfirmed) == ("nothing to draw", [])


def test_an_interrupted_run_is_taken_up_by_the_next_one(world: World) -> None:
    world.executor.plants = [Plant("rare", lambda case: case.weight.in_features == 4321)]
    world.needs = math.inf
    first = world.session(corpus={world.folder / "1.json": Case(weight=Weight(in_features=4321))})
    first.explore(CASES, 1.0)
    first.close()
    assert first.findings == []
    world.needs = 0.0
    second = world.ran()
    assert [item.case.weight.in_features for item in second.findings] == [4321]


def test_a_mistake_of_the_harness_ends_the_run_and_leaves_what_is_there(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    session = world.session()
    session.explore(CASES, 0.5)

    def broken(*_: Any, **__: Any) -> None:
        raise HarnessError("our own mistake")

    monkeypatch.setattr(world.executor, "submit", broken)
    with pytest.raises(HarnessError, match="our own mistake"):
        session.explore(CASES, 1.0)
    session.close()
    assert world.run.stop_reason == "interrupted"
    assert len(world.run.findings) == 1


def test_a_file_of_the_corpus_may_lie_anywhere(world: World) -> None:
    path = (world.folder / "elsewhere" / "1.json").resolve()
    write_json(path, Case().to_json())
    world.executor.plants = []
    world.ran(known=world.rows(row(more='cases = ["elsewhere/1.json"]')), corpus={path: Case()})
    assert [entry["state"] for entry in world.run.known] == ["looks fixed"]
