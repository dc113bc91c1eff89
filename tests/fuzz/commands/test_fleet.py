"""`python -m fuzz fleet`: its options, what it prints and returns. What Ray does is tested in `tests/end_to_end`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import pytest

from fuzz.__main__ import build_parser, main
from fuzz.commands import fleet as command
from fuzz.fleet.cluster import LostError
from fuzz.fleet.fleet import Fleet
from fuzz.fleet.shard import parse_shards
from tests.fuzz.fleet.fake import FakeCluster, files_of, sent
from tests.reports.helpers import finding
from tests.reports.stored_runs import record

LOST = LostError("the node died")


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fleet.__init__, "__defaults__", (lambda: False, lambda seconds: None))  # noqa: ARG005


def parsed(tmp_path: Path, *more: str) -> argparse.Namespace:
    arguments = ["--address", "somewhere", "--shards", "CPU=2", "--into", str(tmp_path / "into")]
    arguments += ["--known-issues", str(nothing_known(tmp_path)), "--corpus", str(tmp_path / "none")]
    return build_parser(["fleet"]).parse_args(["fleet", *arguments, *more])


def nothing_known(tmp_path: Path) -> Path:
    (tmp_path / "known.toml").touch()
    return tmp_path / "known.toml"


def wanted(tmp_path: Path, *more: str) -> command.Wanted:
    return command.checked(parsed(tmp_path, "--seed", "5", *more))


def test_what_a_shard_is_told(tmp_path: Path) -> None:
    asked = wanted(tmp_path, "--budget", "10m", "--profile", "nightly", "--attempts", "2", "--", "--fuzz-cases", "40", "-k", "gemv")
    assert asked.shards == parse_shards("CPU=2")
    assert (asked.plan.seed, asked.plan.budget, asked.plan.attempts) == (5, 600.0, 2)
    assert asked.plan.arguments == ("--fuzz-profile", "nightly", "--fuzz-cases", "40", "-k", "gemv")
    assert wanted(tmp_path, "--profile", "smoke").plan.budget == 30.0, "the profile's"


def test_each_fleet_has_a_seed_of_its_own_unless_it_is_given_one(tmp_path: Path) -> None:
    seeds = {command.checked(parsed(tmp_path)).plan.seed for _ in range(3)}
    assert len(seeds) > 1


def test_new_findings_are_merged_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = (files_of(tmp_path / how, [finding(how=how)], record(stop_reason="time")) for how in ("one", "two"))
    both = files_of(tmp_path / "both", [finding(how="one"), finding(how="two")], record(stop_reason="time"))
    cluster = FakeCluster(cpu_0=[[sent(one), LOST], [sent(two), sent(status=1)]], cpu_1=[[sent(both), sent(status=1)]])
    assert command.fleet(wanted(tmp_path), cluster) == 1
    into = tmp_path / "into"
    assert sorted(path.name for path in into.iterdir()) == ["findings", "index.html", "observations.jsonl", "run.json", "shards"]
    run = json.loads((into / "run.json").read_text(encoding="utf-8"))
    assert [entry["cases"] for entry in run["findings"]] == [34, 34]
    assert run["cases"] == 30
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"fleet: cpu-0 cpu-1; budget 60 s each, seed 5, reports in {into}"
    assert lines[-2] == f"3 directories merged into {into}: 2 findings, 0 unconfirmed, 30 cases"
    assert lines[-1] == f"page: {into / 'index.html'}"


def test_nothing_new_is_status_0(tmp_path: Path) -> None:
    clean = [sent(files_of(tmp_path / "clean", [], record())), sent(status=0)]
    assert command.fleet(wanted(tmp_path), FakeCluster(cpu_0=[clean], cpu_1=[clean])) == 0


def test_a_known_issue_whose_time_is_up_is_red_without_a_finding(tmp_path: Path) -> None:
    clean = sent(files_of(tmp_path / "clean", [], record()))
    assert command.fleet(wanted(tmp_path), FakeCluster(cpu_0=[[clean, sent(status=1)]], cpu_1=[[clean, sent(status=0)]])) == 1


def test_a_finding_of_a_lost_attempt_counts(tmp_path: Path) -> None:
    files, clean = files_of(tmp_path / "a", [finding()]), files_of(tmp_path / "b", [], record())
    cluster = FakeCluster(cpu_0=[[sent(files), LOST], [sent(clean), sent(status=0)]], cpu_1=[[sent(clean), sent(status=0)]])
    assert command.fleet(wanted(tmp_path), cluster) == 1


def test_a_shard_that_is_given_up_is_status_2_with_a_report(tmp_path: Path) -> None:
    files = files_of(tmp_path / "there", [finding()])
    cluster = FakeCluster(cpu_0=[[sent(files), LOST], [LOST], [LOST]], cpu_1=[[sent(files), sent(status=1)]])
    assert command.fleet(wanted(tmp_path), cluster) == 2
    assert (tmp_path / "into" / "index.html").exists()


def test_nothing_at_all_is_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed = [sent({"output.txt": "no GPU"}, status=4)]
    assert command.fleet(wanted(tmp_path), FakeCluster(cpu_0=[failed], cpu_1=[failed])) == 2
    assert capsys.readouterr().err == "nothing came back\n"


def test_ctrl_c_pressed_twice_keeps_what_came_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = files_of(tmp_path / "there", [finding()])
    cluster = FakeCluster(cpu_0=[[sent(files)]], cpu_1=[[]])

    def pressed(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Fleet.__init__, "__defaults__", (lambda: False, pressed))
    assert command.fleet(wanted(tmp_path), cluster) == 2
    captured = capsys.readouterr()
    assert "interrupted again: the shards are cut off" in captured.err
    assert f"finding: {finding().signature}  [17 cases on 1 system]" in captured.out
    assert all(placed.closed for placed in cluster.placed)


def test_what_the_cluster_does_not_have_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = dataclasses.replace(wanted(tmp_path), shards=parse_shards("T4=1"))
    assert command.fleet(asked, FakeCluster()) == 2
    assert capsys.readouterr().err == "could not start: the cluster has no T4; it has CPU=4, H200=8\n"
    assert not (tmp_path / "into").exists()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--", "--fuzz-seed", "5"], "--fuzz-seed is not for the shards; write --seed"),
        (["--", "--corpus=x"], "--corpus is not for the shards; write --corpus before --"),
        (["--known-issues", "none.toml"], "cannot read the known-issues file"),
        (["--into", "."], ". is not an empty folder; a fleet writes to a new one"),
    ],
)
def test_bad_usage_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], sentence: str) -> None:
    assert command.run(parsed(tmp_path, *more)) == 2
    error = capsys.readouterr().err
    assert error.startswith("could not start: ")
    assert sentence in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("shards", ["", "CPU", "CPU=0", "CPU=1,CPU=2"])
def test_shards_that_mean_nothing(shards: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fleet", "--address", "local", "--into", "nowhere", "--shards", shards])
    assert ended.value.code == 2
    assert f"argument --shards: {shards!r}" in capsys.readouterr().err


def test_without_ray_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delitem(sys.modules, "fuzz.fleet.on_ray", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert command.run(parsed(tmp_path)) == 2
    assert capsys.readouterr().err == "could not start: ray is not installed; pip install ray\n"
