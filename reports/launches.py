"""Which kernels of the library a run has launched, as data, as lines for people, and of several runs together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from itertools import groupby
from typing import Any, Final, Self

from reports import schema
from reports.counted import counted
from reports.text import one_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Launches:
    """What a profiler saw.

    Attributes:
        cases: how many Cases it looked at.
        launched: number of launches by kernel, of those that the library's file contains; 0 for those never launched.
        unreachable: kernels that no call launches on this GPU, with the reason.
    """

    cases: int = 0
    launched: dict[str, int] = field(default_factory=dict)
    unreachable: dict[str, str] = field(default_factory=dict)

    @property
    def never(self) -> list[str]:
        """The kernels that were not launched and for which there is no reason."""
        return [name for name, count in self.launched.items() if not count and name not in self.unreachable]

    @property
    def reasons(self) -> list[tuple[str, list[str]]]:
        """The kernels that cannot be launched, and were not, by the reason."""
        left = sorted((reason, name) for name, reason in self.unreachable.items() if not self.launched.get(name))
        return [(reason, [name for _, name in pairs]) for reason, pairs in groupby(left, key=lambda pair: pair[0])]

    @classmethod
    def from_json(cls, data: Any, place: str) -> Self:
        """The launches in `run.json`.

        Raises:
            RecordError: something is missing or malformed; one sentence.
        """
        schema.check(data, place, _MEMBERS)
        return cls(**data)

    def to_json(self) -> dict[str, Any]:
        """The launches as JSON data."""
        return dataclasses.asdict(self)


_MEMBERS: Final[dict[str, schema.Check]] = {
    "cases": schema.count,
    "launched": schema.mapping(schema.count),
    "unreachable": schema.mapping(schema.text),
}


def lines(launches: Launches) -> Iterator[str]:
    """What it comes to, then what was never launched; nothing where nobody looked."""
    if not launches.launched:
        return
    seen = sum(map(bool, launches.launched.values()))
    within = f"{seen} of {seen + len(launches.never)} that this GPU may run, of {len(launches.launched)} 4-bit kernels in the library"
    yield f"kernels launched: {within} (by {counted(launches.cases, 'case')} under a profiler)"
    if launches.never:
        yield f"never launched: {'; '.join(map(one_line, launches.never))}"
    for reason, names in launches.reasons:
        yield f"not launched on this GPU: {'; '.join(map(one_line, names))} ({one_line(reason)})"


def of_all(parts: Iterable[Launches]) -> Launches:
    """The launches of several runs. What one of them may launch is within reach."""
    return reduce(_both, parts, Launches())


def _both(one: Launches, other: Launches) -> Launches:
    if not one.launched or not other.launched:
        return other if other.launched else one
    names = dict.fromkeys([*one.launched, *other.launched])
    reasons = {name: why for name, why in (one.unreachable | other.unreachable).items() if _lacks(one, name) and _lacks(other, name)}
    return Launches(
        cases=one.cases + other.cases,
        launched={name: one.launched.get(name, 0) + other.launched.get(name, 0) for name in names},
        unreachable=reasons,
    )


def _lacks(launches: Launches, name: str) -> bool:
    """Whether a kernel was out of reach, or is not in the library at all."""
    return name in launches.unreachable or name not in launches.launched
