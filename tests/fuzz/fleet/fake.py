"""A cluster that exists in the test only: what each attempt of a shard answers is written down beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fuzz.fleet.cluster import LostError
from fuzz.fleet.order import Inputs, News, Order
from fuzz.fleet.shard import Shard
from reports.finding import Finding
from reports.run import RunRecord
from tests.reports.stored_runs import contents, of, record, write_run

INPUTS = Inputs(files={"known.toml": ""}, known="known.toml", corpus="corpus")

Answer = News | LostError | None


class FakePlaced:
    """An attempt; after its last answer it has nothing more to say."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers = list(answers)
        self.interrupted = self.closed = False

    def news(self) -> News | None:
        assert not self.closed, "nobody is there to be asked"
        answer = self._answers.pop(0) if self._answers else None
        if isinstance(answer, LostError):
            raise answer
        return answer

    def interrupt(self) -> None:
        self.interrupted = True
        self._answers = [sent(status=2)]

    def close(self) -> None:
        self.closed = True


class FakeCluster:
    """Answers by the name of the shard, a sequence for each attempt."""

    def __init__(self, **shards: Sequence[Sequence[Answer]]) -> None:
        self._shards = {name.replace("_", "-"): list(attempts) for name, attempts in shards.items()}
        self.there = {"CPU": 4, "H200": 8}
        self.orders: list[Order] = []
        self.placed: list[FakePlaced] = []

    def kinds(self) -> dict[str, int]:
        return self.there

    def place(self, shard: Shard, order: Order) -> FakePlaced:
        self.orders.append(order)
        self.placed.append(FakePlaced(self._shards[shard.name].pop(0)))
        return self.placed[-1]


class Clock:
    """A time that passes when somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


def sent(files: dict[str, str] | None = None, status: int | None = None) -> News:
    """An answer."""
    return News(place="somewhere", files=files or {}, status=status)


def files_of(scratch: Path, findings: Sequence[Finding] = (), run: RunRecord | None = None) -> dict[str, str]:
    """What a run with these findings sends."""
    root = write_run(scratch, findings, [of(finding) for finding in findings], run or record(stop_reason="running"))
    return {name: text.decode() for name, text in contents(root).items()}
