"""What may explain a failure: the rows of the known-issues file, and the defects that this run has found."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from fuzz.engine.verdict import FailureKey
from fuzz.triage.bug import Bug, Row, Suspect
from fuzz.triage.condition import Condition, all_taken_back
from fuzz.triage.known import KnownIssue
from strategies.case import Case


class Suspects:
    """All of them, in the order in which they were known.

    Args:
        issues: the rows that are in force for this release and device.
    """

    def __init__(self, issues: Sequence[KnownIssue] = ()) -> None:
        self.rows = [Row(issue) for issue in issues]
        self.bugs: list[Bug] = []

    def concerning(self, key: FailureKey) -> list[Suspect]:
        """Those that fail in this way."""
        everything: list[Suspect] = [*self.rows, *self.bugs]
        return [suspect for suspect in everything if suspect.concerns(key)]

    def acting(self, key: FailureKey, case: Case) -> list[Suspect]:
        """Those that may be why `case` fails: one with a trigger that is neutral there cannot be."""
        return [suspect for suspect in self.concerning(key) if acts(suspect, case)]

    def in_kernels(self, key: FailureKey, case: Case, arms: Collection[str]) -> tuple[Bug, Case] | None:
        """The defect of this run that may be why `case` fails in these kernels, although its sizes are others, and the Case without."""
        for bug in self.bugs:
            if bug.kernels is not None and bug.concerns(key) and bug.kernels.holds(case, arms):
                harmless = bug.kernels.needed.taken_back(case)
                return None if harmless is None else (bug, harmless)
        return None

    def may_act(self, key: FailureKey, case: Case) -> bool:
        """Whether a failure of `case` may be one that is known."""
        return any(acts(suspect, case) for suspect in self.concerning(key))

    def masking(self, key: FailureKey, case: Case) -> list[Suspect]:
        """Those that do not act on `case`, and that would hide the failure `key` where they act."""
        known: list[Suspect] = [*self.rows, *self.bugs]
        return [suspect for suspect in known if suspect.hides(key) and not acts(suspect, case)]

    def taken_back(self, key: FailureKey, case: Case) -> Case | None:
        """`case` with all that is known and concerns `key` taken back; None if that cannot be."""
        return all_taken_back([region for suspect in self.concerning(key) for region in suspect.regions], case)

    def resembling(self, key: FailureKey, condition: Condition) -> list[Suspect]:
        """Those that fail in this way and ask for much the same."""
        return [suspect for suspect in self.concerning(key) if any(region.resembles(condition) for region in suspect.regions)]

    def bug_of(self, signature: str) -> Bug | None:
        """The defect of this run with a signature."""
        return next((bug for bug in self.bugs if bug.signature == signature), None)

    def row_naming(self, bug: Bug) -> Row | None:
        """The row that is about a defect."""
        return next(self._rows_naming(bug), None)

    def _rows_naming(self, bug: Bug) -> Iterator[Row]:
        return (row for row in self.rows if row.issue.names(bug.key, bug.minimal, bug.triggers))


def shows(suspect: Suspect, case: Case) -> bool:
    """Whether a suspect may be what is seen on `case`."""
    return any(region.shows(case) for region in suspect.regions)


def acts(suspect: Suspect, case: Case) -> bool:
    """Whether a suspect may be why `case` fails."""
    return any(region.holds(case) for region in suspect.regions)
