"""How the findings of a run differ from those of the run before."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from reports.run import RUNNING, RunRecord
from reports.summary import where


class State(enum.Enum):
    """What became of a finding. What was not seen may be fixed; its Case was perhaps not drawn."""

    NEW = "new"
    STILL_THERE = "still there"
    NOT_SEEN = "not seen this time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A finding of one of the two runs, by its signature and the name of its folder."""

    state: State
    signature: str
    slug: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The difference.

    Attributes:
        date: of the run before; empty if that does not say.
        machine: its release, and the hardware in a few words.
        all: every finding of both runs, what is new first.
    """

    date: str
    machine: str
    all: tuple[Change, ...]

    def of(self, state: State) -> tuple[Change, ...]:
        """The findings of one state."""
        return tuple(change for change in self.all if change.state is state)


def changes(record: RunRecord) -> Changes | None:
    """What has changed since the run before; None if there was none, or if this run does not list its findings yet."""
    previous = record.previous
    if previous is None or record.stop_reason == RUNNING:
        return None
    slugs = {entry["signature"]: str(entry.get("slug", "")) for entry in (*previous.findings, *record.findings)}
    now = {entry["signature"] for entry in record.findings}
    states = {signature: _state(signature in previous.signatures, signature in now) for signature in slugs}
    found = [Change(state=state, signature=signature, slug=slugs[signature]) for signature, state in states.items()]
    order = list(State)
    return Changes(
        date=previous.date,
        machine=f"bitsandbytes {previous.system.get('bitsandbytes', '?')}, {where({'device': 'unknown device', **previous.system})}",
        all=tuple(sorted(found, key=lambda change: order.index(change.state))),
    )


def _state(was_there: bool, is_there: bool) -> State:  # noqa: FBT001 - two sides of one question
    if not is_there:
        return State.NOT_SEEN
    return State.STILL_THERE if was_there else State.NEW
