"""What comes back from a node."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.fleet.received import Received
from reports import files
from tests.fuzz.fleet.fake import files_of
from tests.reports.helpers import finding
from tests.reports.stored_runs import contents, record, unverified


def test_the_directory_is_as_it_was_there(tmp_path: Path) -> None:
    texts = files_of(tmp_path / "there", [finding()], record(cases=12, stop_reason="running"))
    received = Received(tmp_path / "here")
    assert received.roots == []
    assert [found.signature for found in received.take(texts)] == [finding().signature]
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    assert received.roots == [tmp_path / "here"]
    assert received.cases == 12


def test_only_what_counts_is_announced(tmp_path: Path) -> None:
    others = [unverified(finding(how="one")), finding(how="two", minimal=False), finding(how="three", known="unreported")]
    received = Received(tmp_path / "here")
    assert received.take(files_of(tmp_path / "there", others)) == []
    assert received.take({"findings/x/finding.json": "{"}) == []


def test_a_record_is_written_after_what_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = files_of(tmp_path / "there", [finding()])
    order: list[str] = []

    def write(path: Path, text: str) -> None:
        order.append(path.name)
        files.write_text(path, text)

    monkeypatch.setattr("fuzz.fleet.received.write_text", write)
    Received(tmp_path / "here").take(texts)
    assert sorted(order[-2:]) == ["finding.json", "run.json"]
    assert order.index("repro.py") < order.index("finding.json")


def test_nothing_is_written_outside(tmp_path: Path) -> None:
    root = tmp_path / "a" / "here"
    Received(root).take({"../../x": "1", "/y": "2", "findings/../../../z": "3"})
    assert sorted(contents(tmp_path)) == ["a/here/findings/z", "a/here/x", "a/here/y"]


def test_workers_of_xdist_count_until_they_are_one_run(tmp_path: Path) -> None:
    received = Received(tmp_path / "here")
    for worker in ("gw0", "gw1"):
        texts = files_of(tmp_path / worker, [finding(how=worker)], record(cases=5, stop_reason="running"))
        received.take({f"parts/run/{worker}/{name}": text for name, text in texts.items()})
    assert [root.name for root in received.roots] == ["gw0", "gw1"]
    assert received.cases == 10
    received.take(files_of(tmp_path / "whole", run=record(cases=11)))
    assert received.roots == [tmp_path / "here"]
    assert received.cases == 11


def test_a_record_that_makes_no_sense_counts_nothing(tmp_path: Path) -> None:
    received = Received(tmp_path / "here")
    for text in ("", "[]", '{"cases": "many"}'):
        received.take({"run.json": text})
        assert received.cases == 0
