"""The events of a run: each told once, each line whole and at once on disk, and not without end."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings

from reports import events as module
from reports.events import FILE, Events, read_events
from reports.run import ReportsError
from reports.text import short
from tests.reports.formats.helpers import KNOWN, UNMET
from tests.reports.helpers import NASTY, SYSTEM, finding, hostile
from tests.reports.stored_runs import record

VERDICT = {"surface": "nn.Linear4bit", "path": "linear4bit", "symptom": "hang", "how": "", "expected": "x"}


def events(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / FILE).read_text(encoding="utf-8").split("\n") if line]


def begun(root: Path) -> Events:
    ticks = count()
    log = Events(root, lambda: next(ticks) / 4)
    log.started(SYSTEM, 5, 60.0)
    return log


def test_a_run_from_its_start_to_its_end(tmp_path: Path) -> None:
    log, item = begun(tmp_path), finding()
    log.observed(VERDICT, 12)
    run = record(known=[KNOWN, UNMET], findings=[{"signature": item.signature}])
    log.noted(run, [])
    log.noted(run, [item, finding(how="not reduced", minimal=False), finding(how="flaky", reproduced=2)])
    log.finished(run)
    assert events(tmp_path) == [
        {"event": "started", "seconds": 0.0, "format_version": 1, "system": SYSTEM, "seed": 5, "budget": 60.0},
        {"event": "observed", "seconds": 0.25, **{name: VERDICT[name] for name in ("surface", "path", "symptom", "how")}, "number": 12},
        {"event": "known seen", "seconds": 0.5, "title": KNOWN["title"], "link": KNOWN["link"]},
        {"event": "finding", "seconds": 0.75, "signature": item.signature, "slug": item.slug},
        {"event": "finished", "seconds": 1.0, "stop_reason": "time", "cases": 10, "findings": 1, "unconfirmed": 0},
    ]


def test_every_line_is_there_as_soon_as_it_is_written(tmp_path: Path) -> None:
    log = begun(tmp_path)
    for number in range(3):
        log.observed(VERDICT, number)
        assert len(events(tmp_path)) == number + 2


def test_a_new_run_begins_anew(tmp_path: Path) -> None:
    begun(tmp_path).observed(VERDICT, 1)
    begun(tmp_path)
    assert [event["event"] for event in events(tmp_path)] == ["started"]


def test_there_is_an_end_of_events_but_the_last_one_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 4)
    log = begun(tmp_path)
    for number in range(100):
        log.observed(VERDICT, number)
    log.finished(record())
    assert [event["event"] for event in events(tmp_path)] == ["started", "observed", "observed", "observed", "finished"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hostile)
@example(NASTY)
@example("\ud800" + "x" * 100_000)
def test_text_from_outside_is_short_and_on_its_line(tmp_path: Path, text: str) -> None:
    log = begun(tmp_path)
    log.observed({**VERDICT, "how": text}, 1)
    log.noted(record(known=[{**KNOWN, "title": text, "link": text}]), [finding(how=text)])
    _, observed, found, known = events(tmp_path)
    assert observed["how"] == known["title"] == known["link"] == short(text)
    assert found["signature"] == short(finding(how=text).signature)
    assert all(len(line) < 3000 for line in read_events(tmp_path))


def test_half_a_line_of_a_killed_writer_is_left_out(tmp_path: Path) -> None:
    begun(tmp_path).observed(VERDICT, 1)
    with (tmp_path / FILE).open("a", encoding="utf-8") as file:
        file.write('{"event": "find')
    assert [json.loads(line)["event"] for line in read_events(tmp_path)] == ["started", "observed"]


def test_no_events_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ReportsError, match=r"events\.ndjson cannot be read: No such file or directory"):
        list(read_events(tmp_path))
