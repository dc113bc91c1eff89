"""Explains failures by what is known: the Case is run again with the triggers of what is known taken back.

These runs are queued like any other Case, so that the search does not wait for them.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from typing import Final

from fuzz.engine.executor import Executor
from fuzz.engine.verdict import CaseResult, FailureKey
from fuzz.triage.bug import Failure, Suspect
from fuzz.triage.condition import all_taken_back
from fuzz.triage.examine import other_view
from fuzz.triage.suspects import Suspects
from fuzz.triage.verify import selection
from strategies.case import Case

DEEPEST: Final = 3
"""How often a failure that appears only when what is known is taken back is followed, each time one Case further."""

Stamp = Callable[[], tuple[int, float]]
"""How many Cases have been run, and the seconds so far."""


class Explaining:
    """Failures that are to be explained.

    Args:
        executor: started, or startable.
        suspects: what is known; it may grow.
        stamp: for the failures.
        unexplained: gets the failures that nothing explains.
    """

    def __init__(self, executor: Executor, suspects: Suspects, stamp: Stamp, unexplained: Callable[[Failure], None]) -> None:
        self._executor, self._suspects, self._stamp, self._unexplained = executor, suspects, stamp, unexplained
        self._doubtful: deque[tuple[Failure, int]] = deque()
        self._shared: deque[tuple[Failure, list[Suspect]]] = deque()
        self._retries: deque[tuple[Case, Callable[[CaseResult], None], FailureKey]] = deque()

    @property
    def pending(self) -> bool:
        """Whether `advance` has something to do."""
        return bool(self._doubtful or self._shared or self._retries)

    def doubt(self, case: Case, result: CaseResult, depth: int = 0, *, first: Case | None = None, drawn_for: str = "") -> None:
        """Take up the failures of a result.

        Args:
            case: what was run.
            result: what came of it.
            depth: how often something known was taken back to come to this Case.
            first: the Case that was drawn, if it is another one.
            drawn_for: the property that it was drawn for.
        """
        for verdict in result.failures:
            self._doubtful.append((Failure(FailureKey.of(verdict), case, verdict, *self._stamp(), first, drawn_for), depth))

    def advance(self) -> None:
        """Queue each failure again with what may explain it taken back; without such a thing it is unexplained."""
        while self._doubtful:
            self._explain(*self._doubtful.popleft())
        while self._retries:
            view, explainer, key = self._retries.popleft()
            self._executor.submit(view, explainer, selection(key))
        while self._shared:
            self._divide(*self._shared.popleft())

    def give_up(self) -> list[Failure]:
        """Forget what is left, and return what nothing known may explain."""
        left = [failure for failure, _ in self._doubtful if not self._suspected(failure)[0]]
        self._doubtful.clear()
        return left

    def explained_now(self, failure: Failure) -> Failure | None:
        """The failure with what is known by now taken back, without queueing; None if that explains it."""
        suspects, harmless = self._suspected(failure)
        if not suspects:
            return failure
        if harmless is None:
            self._blame(failure, suspects)
            return None
        result = self._executor.run(harmless, selection(failure.key))
        if not result.ran(failure.key):
            harmless = other_view(harmless)
            result = self._executor.run(harmless, selection(failure.key))
        if not result.ran(failure.key):
            self._blame(failure, suspects)
            return None
        if result.failure(failure.key) is not None:
            return dataclasses.replace(failure, case=harmless, first=failure.drawn)
        self._blame(failure, suspects)
        self.doubt(harmless, result, DEEPEST, first=failure.drawn, drawn_for=failure.drawn_for)
        return None

    def _explain(self, failure: Failure, depth: int) -> None:
        suspects, harmless = self._suspected(failure)
        if not suspects:
            self._unexplained(failure)
            return
        if harmless is None:
            suspects[0].count(failure)
            return
        self._executor.submit(harmless, self._explainer(failure, harmless, suspects, depth), selection(failure.key))

    def _suspected(self, failure: Failure) -> tuple[list[Suspect], Case | None]:
        """What may explain a failure, and its Case with that taken back; None if it cannot be."""
        key, case = failure.key, failure.case
        if acting := self._suspects.acting(key, case):
            return acting, self._suspects.taken_back(key, case)
        found = self._suspects.in_kernels(key, case, failure.verdict.arms)
        return ([], None) if found is None else ([found[0]], found[1])

    def _explainer(
        self, failure: Failure, harmless: Case, suspects: list[Suspect], depth: int, *, again: bool = False
    ) -> Callable[[CaseResult], None]:
        def explain(result: CaseResult) -> None:
            if not result.ran(failure.key) and not again:  # the path takes this layout only in the other view
                view = other_view(harmless)
                self._retries.append((view, self._explainer(failure, view, suspects, depth, again=True), failure.key))
                return
            # Where the path takes no Case without what is known, nothing can be told, and nothing is claimed: a reduction
            # could not leave what is known either.
            if result.failure(failure.key) is None:
                self._blame(failure, suspects)
            if depth < DEEPEST:
                # What fails there is another defect, even if it fails in another way: the first one had hidden it.
                self.doubt(harmless, result, depth + 1, first=failure.drawn, drawn_for=failure.drawn_for)

        return explain

    def _blame(self, failure: Failure, suspects: list[Suspect]) -> None:
        if len(suspects) == 1:
            suspects[0].count(failure)
        else:  # not from within an answer of the executor
            self._shared.append((failure, suspects))

    def _divide(self, failure: Failure, suspects: list[Suspect]) -> None:
        """Count a failure for the first of several suspects that explains it alone, or else for those without which it is still there."""
        for suspect in suspects:
            if not self._fails_without([suspect], failure):
                suspect.count(failure)
                return
        acting = [one for one in suspects if self._fails_without([other for other in suspects if other is not one], failure)]
        for suspect in acting or suspects:
            suspect.count(failure)

    def _fails_without(self, suspects: list[Suspect], failure: Failure) -> bool:
        """Whether the failure is still there with these taken back; where they cannot be, they are taken for the reason."""
        harmless = all_taken_back([region for suspect in suspects for region in suspect.regions], failure.case)
        return harmless is not None and self._executor.run(harmless, selection(failure.key)).failure(failure.key) is not None
