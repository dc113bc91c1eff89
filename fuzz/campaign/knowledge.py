"""What a run makes of the known-issues file: which rows are in force here, which were seen, which look fixed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fuzz.engine.verdict import CaseResult, FailureKey
from fuzz.triage.bug import Row
from fuzz.triage.known import KnownIssue
from fuzz.triage.suspects import Suspects
from strategies.case import Case


class Knowledge:
    """The rows of the known-issues file in one run.

    Args:
        issues: all rows.
        system: release, device and the like, as a child told them.
        today: the day by which rows expire.
    """

    def __init__(self, issues: Sequence[KnownIssue], system: Mapping[str, str], today: dt.date | None = None) -> None:
        day = today or dt.datetime.now(tz=dt.UTC).date()
        here = [issue for issue in issues if issue.applies(system["bitsandbytes"], system["device"])]
        self.expired = [issue for issue in here if issue.expired(day)]
        self.suspects = Suspects([issue for issue in here if not issue.expired(day)])
        self._elsewhere = {path.resolve() for issue in issues for path in issue.cases} - {
            path.resolve() for issue in here for path in issue.cases
        }
        self._results: dict[Path, CaseResult] = {}

    def of_interest(self, corpus: Mapping[Path, Case]) -> dict[Path, Case]:
        """The Cases that are worth running here: all but those of defects of other releases and devices."""
        return {path: case for path, case in corpus.items() if path.resolve() not in self._elsewhere}

    def ran(self, corpus: Mapping[Path, Case], results: Sequence[tuple[Case, CaseResult]]) -> None:
        """Note what came of the files of the corpus that were run."""
        done = dict(results)
        self._results |= {path.resolve(): done[case] for path, case in corpus.items() if case in done}

    def entries(self) -> list[dict[str, Any]]:
        """The rows in force as `run.json` has them."""
        return [
            {
                "title": row.issue.title,
                "link": row.issue.link,
                "reason": row.issue.reason,
                "cases": self._observed(row),
                "state": self._state(row),
            }
            for row in self.suspects.rows
        ]

    def warnings(self) -> list[str]:
        """Sentences about rows that do nothing, or no longer."""
        unmet = [row.issue.title for row in self.suspects.rows if self._state(row) == "not met"]
        return [
            *(f"the known issue {title!r} matched nothing in this run, and no Case of it was run" for title in unmet),
            *(f"the known issue {issue.title!r} expired on {issue.expires}: look at it again" for issue in self.expired),
        ]

    def _observed(self, row: Row) -> int:
        return row.observed + sum(bug.observed for bug in self.suspects.bugs if bug.known is row.issue)

    def _state(self, row: Row) -> str:
        """Seen, or fixed by the look of it: a Case of the row ran where the row says, and did not fail as it says.

        A Case that still fails so is the row's, even if another row explains it as well.
        """
        results = [self._results[path.resolve()] for path in row.issue.cases if path.resolve() in self._results]
        still = any(row.issue.concerns(FailureKey.of(verdict)) for result in results for verdict in result.failures)
        if self._observed(row) or still:
            return "seen"
        ran = any(verdict.surface in row.issue.surfaces for result in results for verdict in result.verdicts)
        return "looks fixed" if ran else "not met"
