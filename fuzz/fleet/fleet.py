"""A fleet: shards side by side, told of in one place, until all of them have ended."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from fuzz.fleet.cluster import Cluster
from fuzz.fleet.course import Course, State
from fuzz.fleet.plan import Plan, Surroundings
from fuzz.fleet.shard import Shard
from reports.finding import Finding
from reports.text import one_line

TICK: Final = 0.5
"""Seconds between two looks at all shards: what is lost with a node is what its shard has written since the last one."""

INTERVAL: Final = 10.0
"""Seconds between two lines of progress."""

GRACE: Final = 60.0
"""Seconds that shards have to end after Ctrl-C; alone on a machine one takes two."""


class Fleet:
    """The shards of one command.

    Args:
        around: what they work with.
        stopping: whether Ctrl-C was pressed.
        pause: lets seconds pass.
    """

    def __init__(
        self, around: Surroundings, stopping: Callable[[], bool] = lambda: False, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._around, self._clock = around, around.clock
        self._stopping, self._pause = stopping, pause
        self._courses: list[Course] = []
        self._told: set[str] = set()
        self._last = self._clock()

    def run(self, shards: Sequence[Shard], plan: Plan) -> None:
        """Run the shards to their end, or until Ctrl-C and what they then need to write their reports.

        Raises:
            ClusterError: the cluster is gone. What came back until then is there.
            OSError: what came back cannot be written.
        """
        try:
            for shard in shards:
                self._courses.append(Course(shard, plan, self._around))
            deadline: float | None = None
            while not all(course.done for course in self._courses) and (deadline is None or self._clock() < deadline):
                if deadline is None and self._stopping():
                    deadline = self._interrupt()
                self._step()
                self._pause(TICK)
        finally:
            for course in self._courses:
                course.close()

    @property
    def roots(self) -> list[Path]:
        """The reports directories that came back."""
        return [root for course in self._courses for root in course.roots]

    @property
    def failed(self) -> bool:
        """Whether a shard did not come to its end."""
        return any(course.state is not State.ENDED for course in self._courses)

    @property
    def red(self) -> bool:
        """Whether the pytest of a shard failed: of new findings, or of a known issue whose time is up."""
        return any(course.status == 1 for course in self._courses)

    def _step(self) -> None:
        for course in self._courses:
            for finding in course.step():
                self._announce(course, finding)
        if self._clock() - self._last >= INTERVAL:
            self._last = self._clock()
            kinds = tuple(self._around.cluster.kinds())
            for course in self._courses:
                course.missing(kinds)
            self._around.tell(self._progress())

    def _announce(self, course: Course, finding: Finding) -> None:
        if finding.signature not in self._told:
            self._told.add(finding.signature)
            self._around.tell(f"{course.shard.name}: finding: {one_line(finding.signature)}")

    def _progress(self) -> str:
        states = Counter(course.state for course in self._courses)
        counts = ", ".join(f"{states[state]} {state.value}" for state in State if states[state])
        return f"shards: {counts}; {sum(course.cases for course in self._courses)} cases, {len(self._told)} findings"

    def _interrupt(self) -> float:
        """Have all shards end; returns when they must have."""
        self._around.tell("interrupted: the shards write what they have")
        for course in self._courses:
            course.interrupt()
        return self._clock() + GRACE


def absent(shards: Sequence[Shard], cluster: Cluster) -> str:
    """What is asked for and the cluster has nothing of, in one sentence; empty if there is nothing of the kind.

    Raises:
        ClusterError: the cluster does not answer.
    """
    there = cluster.kinds()
    wanted = sorted({shard.kind for shard in shards} - set(there))
    has = ", ".join(f"{kind}={count}" for kind, count in sorted(there.items())) or "nothing"
    return f"the cluster has no {' and no '.join(wanted)}; it has {has}" if wanted else ""
