"""One shard from its first attempt to its end."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fuzz.campaign.corpus import left_open
from fuzz.fleet.cluster import LostError, Placed
from fuzz.fleet.order import Inputs, News, Order
from fuzz.fleet.plan import Plan, Surroundings
from fuzz.fleet.received import Received
from fuzz.fleet.shard import Shard, seed_of
from fuzz.fleet.shard_run import OUTPUT
from reports.finding import Finding
from reports.text import one_line, short
from strategies.case import Case

LEAST: Final = 30.0
"""Seconds that a shard runs again for at least: what the lost node saw and did not confirm takes about that."""

PATIENCE: Final = 300.0
"""Seconds without a single node of its kind after which a shard that waits for one is given up."""

_CAME_TO_ITS_END: Final = frozenset({0, 1})
"""Exit statuses of pytest: nothing new, and new findings."""


class State(enum.Enum):
    """Where a shard is."""

    WAITS = "waiting"
    RUNS = "running"
    ENDED = "ended"
    FAILED = "failed"


class Course:
    """A shard that was given to the cluster, and is given to it again if its node is lost.

    Args:
        shard: which one.
        plan: what all shards have in common.
        surroundings: what this works with.

    Raises:
        ClusterError: the cluster does not answer.
    """

    def __init__(self, shard: Shard, plan: Plan, surroundings: Surroundings) -> None:
        self.shard, self._plan, self._around = shard, plan, surroundings
        self.status: int | None = None
        self.attempts: list[Received] = []
        self._began = self._spent = 0.0
        self._missed: float | None = None
        self._stopping = False
        self._begin(plan.budget)

    @property
    def done(self) -> bool:
        """Whether nothing more comes."""
        return self.state in {State.ENDED, State.FAILED}

    @property
    def roots(self) -> list[Path]:
        """The reports directories that its attempts have sent."""
        return [root for attempt in self.attempts for root in attempt.roots]

    @property
    def cases(self) -> int:
        """Cases that were run, as far as it is known here."""
        return sum(attempt.cases for attempt in self.attempts)

    def step(self) -> list[Finding]:
        """Take what came, and give the shard to the cluster again if it was lost. Returns new defects.

        Raises:
            ClusterError: the cluster does not answer.
            OSError: what came cannot be written.
        """
        if self.done:
            return []
        try:
            news = self._placed.news()
        except LostError as error:
            self._lost(str(error))
            return []
        return [] if news is None else self._take(news)

    def missing(self, kinds: Sequence[str]) -> None:
        """Give up a shard that waits for a kind of node which has not been among `kinds` for too long."""
        now = self._around.clock()
        if self.state is not State.WAITS or self.shard.kind in kinds:
            self._missed = None
        elif self._missed is None:
            self._missed = now
        elif now - self._missed >= PATIENCE:
            self._fail(f"the cluster has had no {self.shard.kind} for {PATIENCE:g} s")

    def interrupt(self) -> None:
        """Have it end as after Ctrl-C; it is not given to the cluster again. One that has no place yet ends at once."""
        self._stopping = True
        if self.state is State.WAITS:
            self._fail("interrupted before it had a place")
        elif self.state is State.RUNS:
            self._placed.interrupt()

    def close(self) -> None:
        """End it, wherever it is."""
        if not self.done:
            self._fail("cut off")

    def _begin(self, budget: float, inputs: Inputs | None = None) -> None:
        attempt = len(self.attempts) + 1
        seed = seed_of(self._plan.seed, self.shard, attempt)
        order = Order(
            device=self.shard.device,
            seed=seed,
            budget=budget,
            inputs=inputs or self._plan.inputs,
            arguments=self._plan.arguments,
        )
        self.attempts.append(Received(self._around.into / self.shard.name / str(attempt)))
        self.state = State.WAITS
        self._placed: Placed = self._around.cluster.place(self.shard, order)
        self._tell(f"waits for a place, attempt {attempt} of {self._plan.attempts}, budget {budget:.0f} s, seed {seed}")

    def _take(self, news: News) -> list[Finding]:
        if self.state is State.WAITS:
            self.state = State.RUNS
            self._began = self._around.clock()
            self._tell(f"runs on {one_line(news.place)}")
        findings = self.attempts[-1].take(news.files)
        if news.status is not None:
            self._ended(news.status)
        return findings

    def _ended(self, status: int) -> None:
        if status < 0 and not self._stopping:
            self._lost(f"its pytest was ended by signal {-status}")
        elif status in _CAME_TO_ITS_END or self._stopping:
            self.status = status
            self._end(State.ENDED, f"ended with exit status {status}, {self.cases} cases")
        else:
            self._fail(f"could not run: {self._last_words()} (exit status {status})")

    def _lost(self, reason: str) -> None:
        """Run it again for the time that is left, beginning with what was seen and not confirmed."""
        if self.state is State.RUNS:
            self._spent += self._around.clock() - self._began
        self._tell(f"lost: {reason}")
        self._placed.close()
        if self._stopping or len(self.attempts) >= self._plan.attempts:
            self._end(State.FAILED, "is given up; what it sent is kept")
            return
        left = max(self._plan.budget - self._spent, min(LEAST, self._plan.budget))
        self._begin(left, self._plan.inputs.with_cases(self._open()))

    def _open(self) -> list[Case]:
        """What attempts saw and did not confirm, each Case once."""
        return list(dict.fromkeys(case for root in self.roots for case in left_open(root)))

    def _fail(self, reason: str) -> None:
        self._end(State.FAILED, reason)

    def _end(self, state: State, words: str) -> None:
        self.state = state
        self._placed.close()
        self._tell(words)

    def _last_words(self) -> str:
        """The last error that its pytest printed, or else its last line, and where the rest is."""
        output = self.attempts[-1].root / OUTPUT
        try:
            lines = [line for line in output.read_text(encoding="utf-8", errors="replace").split("\n") if line.strip()]
        except OSError:
            lines = []
        errors = [line for line in lines if "error:" in line.lower()]
        return f"{short([*lines, *errors][-1])}, see {output}" if lines else "it printed nothing"

    def _tell(self, words: str) -> None:
        self._around.tell(f"{self.shard.name}: {words}")
