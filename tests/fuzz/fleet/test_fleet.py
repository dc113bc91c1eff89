"""Shards side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fuzz.fleet.cluster import ClusterError, LostError
from fuzz.fleet.fleet import GRACE, Fleet, absent
from fuzz.fleet.order import Order
from fuzz.fleet.plan import Plan, Surroundings
from fuzz.fleet.shard import Shard, parse_shards
from tests.fuzz.fleet.fake import INPUTS, Clock, FakeCluster, FakePlaced, files_of, sent
from tests.reports.helpers import finding
from tests.reports.stored_runs import record

PLAN = Plan(seed=5, budget=60.0, attempts=3, inputs=INPUTS)
LOST = LostError("the node died")


def fleet_on(tmp_path: Path, cluster: FakeCluster, stopping: Callable[[], bool] = lambda: False) -> tuple[Fleet, list[str], Clock]:
    """A fleet, what it says, and its time."""
    lines: list[str] = []
    clock = Clock()
    around = Surroundings(cluster=cluster, into=tmp_path / "shards", tell=lines.append, clock=clock)
    return Fleet(around, stopping, clock.pause), lines, clock


def test_a_defect_that_several_shards_see_is_announced_once(tmp_path: Path) -> None:
    files = files_of(tmp_path / "there", [finding()], record(cases=12))
    cluster = FakeCluster(cpu_0=[[sent(files), sent(status=1)]], cpu_1=[[None] * 3 + [sent(files), sent(status=1)]])
    fleet, lines, _ = fleet_on(tmp_path, cluster)
    fleet.run(parse_shards("CPU=2"), PLAN)
    assert [line for line in lines if "finding:" in line] == [f"cpu-0: finding: {finding().signature}"]
    assert [root.parent.name for root in fleet.roots] == ["cpu-0", "cpu-1"]
    assert fleet.red
    assert not fleet.failed


def test_progress_is_a_line_now_and_then(tmp_path: Path) -> None:
    files = files_of(tmp_path / "there", [finding()], record(cases=1200))
    cluster = FakeCluster(cpu_0=[[sent(files), *[None] * 40, sent(status=0)]], cpu_1=[[None] * 50 + [sent(status=0)]])
    fleet, lines, _ = fleet_on(tmp_path, cluster)
    fleet.run(parse_shards("CPU=2"), PLAN)
    assert [line for line in lines if line.startswith("shards:")] == [
        "shards: 1 waiting, 1 running; 1200 cases, 1 findings",
        "shards: 1 waiting, 1 running; 1200 cases, 1 findings",
    ]
    assert not fleet.red


def test_one_shard_that_is_given_up_does_not_keep_the_others(tmp_path: Path) -> None:
    cluster = FakeCluster(cpu_0=[[LOST], [LOST], [LOST]], cpu_1=[[sent(status=0)]])
    fleet, _, _ = fleet_on(tmp_path, cluster)
    fleet.run(parse_shards("CPU=2"), PLAN)
    assert fleet.failed


def test_ctrl_c_ends_shards_that_run_and_those_that_wait(tmp_path: Path) -> None:
    cluster = FakeCluster(cpu_0=[[sent(), None, None, None]], cpu_1=[[]])
    fleet, lines, clock = fleet_on(tmp_path, cluster, lambda: clock.now > 101)
    fleet.run(parse_shards("CPU=2"), PLAN)
    assert [placed.interrupted for placed in cluster.placed] == [True, False]
    assert lines.count("interrupted: the shards write what they have") == 1
    assert "cpu-0: ended with exit status 2, 0 cases" in lines
    assert clock.now < 101 + GRACE


def test_a_shard_that_does_not_end_after_ctrl_c_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakePlaced, "interrupt", lambda self: None)  # noqa: ARG005
    cluster = FakeCluster(cpu_0=[[sent()]])
    fleet, lines, clock = fleet_on(tmp_path, cluster, lambda: clock.now > 101)
    fleet.run(parse_shards("CPU=1"), PLAN)
    assert lines[-1] == "cpu-0: cut off"
    assert cluster.placed[0].closed
    assert clock.now >= 101 + GRACE


def test_a_cluster_that_is_gone_leaves_what_came_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = files_of(tmp_path / "there", [finding()])
    cluster = FakeCluster(cpu_0=[[sent(files), LOST]])
    fleet, _, _ = fleet_on(tmp_path, cluster)
    place = FakeCluster.place

    def place_once(self: FakeCluster, shard: Shard, order: Order) -> FakePlaced:
        if self.orders:
            raise ClusterError("the cluster does not answer")
        return place(self, shard, order)

    monkeypatch.setattr(FakeCluster, "place", place_once)
    with pytest.raises(ClusterError):
        fleet.run(parse_shards("CPU=1"), PLAN)
    assert fleet.failed
    assert [root.name for root in fleet.roots] == ["1"]


def test_what_a_cluster_does_not_have() -> None:
    cluster = FakeCluster()
    assert absent(parse_shards("H200=9,CPU=1"), cluster) == "", "nine wait for eight"
    assert absent(parse_shards("H200=1,T4=1,L4=1"), cluster) == "the cluster has no L4 and no T4; it has CPU=4, H200=8"
    cluster.there = {}
    assert absent(parse_shards("CPU=1"), cluster) == "the cluster has no CPU; it has nothing"
