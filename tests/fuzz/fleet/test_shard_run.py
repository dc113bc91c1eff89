"""A shard's process on its machine, which is here any program that writes to the reports directory."""

from __future__ import annotations

import dataclasses
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fuzz.fleet.order import Inputs, News, Order
from fuzz.fleet.shard_run import ShardRun, options

ORDER = Order(
    device="cpu",
    seed=5,
    budget=12.5,
    inputs=Inputs(files={"a/known.toml": "# known", "b/x.json": "{}"}, known="a/known.toml", corpus="b"),
    arguments=("--fuzz-cases", "3"),
)
BEGINNING = """
import pathlib, signal, sys, time
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
reports, known = (pathlib.Path(given[name]) for name in ("--reports-dir", "--known-issues"))
"""
WAITING = (
    BEGINNING
    + """
try:
    (reports / ".new").write_text(known.read_text())
    (reports / ".new").rename(reports / "run.json")
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
    sys.exit(2)
"""
)


@contextmanager
def running(program: str) -> Iterator[ShardRun]:
    """A shard whose pytest is `program`."""
    run = ShardRun(ORDER, "a1b2", (sys.executable, "-c", program))
    try:
        yield run
    finally:
        run.close()


def until(run: ShardRun, reached: Callable[[News], bool]) -> News:
    """Ask until `reached`; all files that came by then."""
    deadline = time.monotonic() + 60
    files: dict[str, str] = {}
    while not reached(news := run.news()):
        assert time.monotonic() < deadline
        files |= news.files
        time.sleep(0.01)
    return dataclasses.replace(news, files={**files, **news.files})


def ended(news: News) -> bool:
    return news.status is not None


def test_the_options_of_a_shard() -> None:
    assert options(ORDER, Path("in"), Path("out")) == [
        *("-p", "no:cacheprovider", "--fuzz-device", "cpu", "--fuzz-seed", "5", "--fuzz-budget", "12.500s"),
        *("--known-issues", "in/a/known.toml", "--corpus", "in/b", "--reports-dir", "out", "--fuzz-cases", "3"),
    ]


def test_what_it_writes_comes_while_it_runs_and_its_status_at_the_end() -> None:
    with running(WAITING) as run:
        news = until(run, lambda news: "run.json" in news.files)
        assert (news.files["run.json"], news.status) == ("# known", None)
        assert news.place.endswith("node a1b2")
        run.interrupt()
        news = until(run, ended)
        assert (news.status, news.files["output.txt"]) == (2, "interrupted\n")


def test_what_is_written_last_comes_with_the_status() -> None:
    with running(BEGINNING + "(reports / 'run.json').write_text('last')") as run:
        assert until(run, ended).files["run.json"] == "last"


def test_a_process_that_was_killed_has_a_negative_status() -> None:
    with running("import os, signal; os.kill(os.getpid(), signal.SIGKILL)") as run:
        assert until(run, ended).status == -signal.SIGKILL


def test_nothing_is_left_behind() -> None:
    with running(BEGINNING + "print(reports.parent, flush=True); time.sleep(60)") as run:
        scratch = Path(until(run, lambda news: news.files.get("output.txt", "").endswith("\n")).files["output.txt"].strip())
        assert scratch.is_dir()
    assert not scratch.exists()
    run.interrupt()  # of a process that is gone
