"""What can be said about a defect's history from the releases that were tried, and what not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from fuzz.commands.replay import Outcome


@dataclass(frozen=True, slots=True)
class Trial:
    """A release, what came of the finding there, and why."""

    label: str
    outcome: Outcome
    note: str = ""

    @property
    def judged(self) -> bool:
        """Whether this release tells anything."""
        return self.outcome is not Outcome.COULD_NOT_RUN

    @property
    def bad(self) -> bool:
        """Whether the defect is there."""
        return self.outcome is Outcome.STILL_THERE


def sentences(trials: Sequence[Trial]) -> Iterator[str]:
    """What follows from `trials`, oldest release first, in one sentence each.

    A change is only known to lie between two releases that were judged; those between that could not run are named.
    """
    judged = [place for place, trial in enumerate(trials) if trial.judged]
    bad = [place for place in judged if trials[place].bad]
    tried = "that was tried" if len(judged) == len(trials) else f"that could be judged ({len(judged)} of {len(trials)})"
    if not judged:
        yield f"none of the releases could be judged (0 of {len(trials)})"
    elif not bad:
        yield f"in none: gone in every release {tried}"
    elif len(bad) == len(judged):
        yield f"there in every release {tried}"
    else:
        yield from _changes(trials, judged, bad)


def _changes(trials: Sequence[Trial], judged: Sequence[int], bad: Sequence[int]) -> Iterator[str]:
    """The changes; `judged` and `bad` are places in `trials`."""
    begin = max((place for place in judged if place < bad[0]), default=-1)
    oldest = ", the oldest that was tried" if bad[0] == 0 else ""
    yield f"first bad release: {trials[bad[0]].label}{oldest}{_doubt(trials[begin + 1 : bad[0]], 'be there already')}"
    for one, two in pairwise(place for place in judged if place >= bad[0]):
        before, after, between = trials[one], trials[two], trials[one + 1 : two]
        if before.bad and not after.bad:
            words = "fixed since" if two > bad[-1] else "gone in"
            note = f" ({after.note})" if after.note else ""
            yield f"{words} {after.label}{note}{_doubt(between, 'be gone already')}"
        elif after.bad and not before.bad:
            yield f"back in {after.label}{_doubt(between, 'be back already')}"


def _doubt(between: Sequence[Trial], words: str) -> str:
    """What releases that could not run, just before a change, leave open."""
    if not between:
        return ""
    return f"; {', '.join(trial.label for trial in between)} just before it could not run, where it may {words}"
