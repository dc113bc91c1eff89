"""One shard through its attempts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fuzz.fleet.cluster import LostError
from fuzz.fleet.course import LEAST, PATIENCE, Course, State
from fuzz.fleet.plan import Plan, Surroundings
from fuzz.fleet.shard import Shard, seed_of
from strategies.case import Case
from tests.fuzz.fleet.fake import INPUTS, Clock, FakeCluster, files_of, sent
from tests.reports.helpers import finding
from tests.reports.stored_runs import record

SHARD = Shard("H200", 0)
PLAN = Plan(seed=5, budget=600.0, attempts=3, inputs=INPUTS, arguments=("-x",))
LOST = LostError("the node died")


class Told:
    """A course on a cluster that does as it is told, and what it says."""

    def __init__(self, tmp_path: Path, cluster: FakeCluster, plan: Plan = PLAN) -> None:
        self.lines: list[str] = []
        self.clock = Clock()
        around = Surroundings(cluster=cluster, into=tmp_path / "shards", tell=self.lines.append, clock=self.clock)
        self.course = Course(SHARD, plan, around)

    def step(self, times: int = 1, seconds: float = 1.0) -> list[str]:
        """Signatures of what was found."""
        found = []
        for _ in range(times):
            found += [item.signature for item in self.course.step()]
            self.clock.pause(seconds)
        return found


def test_a_shard_waits_runs_and_ends(tmp_path: Path) -> None:
    files = files_of(tmp_path / "there", [finding()], record(cases=12))
    cluster = FakeCluster(h200_0=[[None, sent(), sent(files), sent(status=1)]])
    told = Told(tmp_path, cluster)
    assert told.step() == []
    assert told.lines[1:] == []
    assert told.step(2) == [finding().signature]
    assert not told.course.done
    told.step(3)
    assert (told.course.state, told.course.status, told.course.cases) == (State.ENDED, 1, 12)
    assert told.course.roots == [tmp_path / "shards" / "h200-0" / "1"]
    assert told.lines == [
        f"h200-0: waits for a place, attempt 1 of 3, budget 600 s, seed {seed_of(5, SHARD, 1)}",
        "h200-0: runs on somewhere",
        "h200-0: ended with exit status 1, 12 cases",
    ]
    (order,) = cluster.orders
    assert (order.device, order.seed, order.budget, order.arguments) == ("cuda", seed_of(5, SHARD, 1), 600.0, ("-x",))
    assert cluster.placed[0].closed


def test_a_lost_shard_runs_again_for_the_time_that_is_left(tmp_path: Path) -> None:
    one, two = (files_of(tmp_path / how, [finding(how=how)], record(cases=7, stop_reason="running")) for how in ("one", "two"))
    cluster = FakeCluster(h200_0=[[sent(one), None, LOST], [None, sent(two), sent(status=1)]])
    told = Told(tmp_path, cluster)
    assert told.step(2, seconds=100) == [finding(how="one").signature]
    told.step()
    assert "h200-0: lost: the node died" in told.lines
    assert cluster.placed[0].closed
    assert [order.budget for order in cluster.orders] == [600.0, 400.0]
    assert [order.seed for order in cluster.orders] == [seed_of(5, SHARD, 1), seed_of(5, SHARD, 2)]
    assert told.step(3) == [finding(how="two").signature]
    assert (told.course.state, told.course.cases) == (State.ENDED, 14)
    assert [root.name for root in told.course.roots] == ["1", "2"], "what it had sent before is kept"


def test_time_that_a_shard_waited_is_not_spent(tmp_path: Path) -> None:
    cluster = FakeCluster(h200_0=[[None] * 5 + [LOST], []])
    Told(tmp_path, cluster).step(6, seconds=1000)
    assert [order.budget for order in cluster.orders] == [600.0, 600.0]


@pytest.mark.parametrize(("budget", "least"), [(600.0, LEAST), (20.0, 20.0)])
def test_there_is_time_to_confirm_what_a_node_saw_at_its_end(tmp_path: Path, budget: float, least: float) -> None:
    cluster = FakeCluster(h200_0=[[sent(), LOST], []])
    Told(tmp_path, cluster, Plan(seed=5, budget=budget, attempts=3, inputs=INPUTS)).step(2, seconds=599)
    assert [order.budget for order in cluster.orders] == [budget, least]


def test_what_lost_attempts_saw_and_did_not_confirm_is_run_first(tmp_path: Path) -> None:
    seen = [finding(how=how, first_case=Case(seed=seed)) for how, seed in (("one", 1), ("two", 2))]
    first, second = (files_of(tmp_path / str(number), [item]) for number, item in enumerate(seen))
    cluster = FakeCluster(h200_0=[[sent(first), LOST], [sent(second), LOST], []])
    Told(tmp_path, cluster).step(4)
    assert [len(order.inputs.files) for order in cluster.orders] == [1, 2, 3]
    texts = [text for name, text in cluster.orders[2].inputs.files.items() if name.startswith("corpus/left-open-")]
    assert [Case.from_json(json.loads(text)).seed for text in texts] == [1, 2]


def test_a_process_that_was_killed_is_lost_too(tmp_path: Path) -> None:
    cluster = FakeCluster(h200_0=[[sent(status=-9)], [sent(status=0)]])
    told = Told(tmp_path, cluster)
    told.step(2)
    assert "h200-0: lost: its pytest was ended by signal 9" in told.lines
    assert (told.course.state, told.course.status) == (State.ENDED, 0)


def test_after_so_many_attempts_it_is_given_up_and_what_it_sent_is_kept(tmp_path: Path) -> None:
    files = files_of(tmp_path / "there", [finding()])
    cluster = FakeCluster(h200_0=[[LOST], [sent(files), LOST], [LOST]])
    told = Told(tmp_path, cluster)
    told.step(5)
    assert (told.course.state, told.lines[-1]) == (State.FAILED, "h200-0: is given up; what it sent is kept")
    assert told.course.roots == [tmp_path / "shards" / "h200-0" / "2"]


USAGE = "ERROR: usage: pytest\npytest: error: unrecognized arguments: --bogus\n  inifile: a\n\n"


@pytest.mark.parametrize(
    ("output", "words"),
    [(USAGE, "pytest: error: unrecognized arguments: --bogus, see "), ("one\ntwo\n\n", "two, see "), ("", "it printed nothing")],
)
def test_a_shard_that_could_not_run_is_not_tried_again_and_says_why(tmp_path: Path, output: str, words: str) -> None:
    told = Told(tmp_path, FakeCluster(h200_0=[[sent({"output.txt": output} if output else {}, status=4)]]))
    told.step()
    assert told.course.state is State.FAILED
    place = tmp_path / "shards" / "h200-0" / "1" / "output.txt" if output else ""
    assert told.lines[-1] == f"h200-0: could not run: {words}{place} (exit status 4)"


def test_a_kind_that_does_not_come_back_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    told = Told(tmp_path, FakeCluster(h200_0=[[]]))
    for kinds, seconds in (([], PATIENCE - 1), (["H200"], 1), ([], PATIENCE - 1), ([], 1)):
        told.course.missing(kinds)
        told.clock.pause(seconds)
        assert told.course.state is State.WAITS
    told.course.missing([])
    assert told.course.state is State.FAILED
    assert told.lines[-1] == "h200-0: the cluster has had no H200 for 300 s"


def test_a_shard_that_runs_does_not_wait(tmp_path: Path) -> None:
    told = Told(tmp_path, FakeCluster(h200_0=[[sent()]]))
    told.step()
    for _ in range(3):
        told.course.missing([])
        told.clock.pause(PATIENCE)
    assert told.course.state is State.RUNS


def test_ctrl_c_lets_a_shard_write_its_report(tmp_path: Path) -> None:
    cluster = FakeCluster(h200_0=[[sent(), None]])
    told = Told(tmp_path, cluster)
    told.step()
    told.course.interrupt()
    assert not told.course.done
    told.step()
    assert cluster.placed[0].interrupted
    assert told.course.state is State.ENDED


def test_after_ctrl_c_nothing_is_placed_any_more(tmp_path: Path) -> None:
    waiting = Told(tmp_path / "a", FakeCluster(h200_0=[[]]))
    waiting.course.interrupt()
    assert waiting.lines[-1] == "h200-0: interrupted before it had a place"
    cluster = FakeCluster(h200_0=[[sent(), LOST]])
    told = Told(tmp_path / "b", cluster)
    told.step()
    told.course._stopping = True
    told.step()
    assert len(cluster.orders) == 1
    assert told.course.state is State.FAILED
