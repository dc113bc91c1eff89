"""Which values a run has visited how often, as data, as lines for people, and of several runs together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Final, Self

from reports import schema

_COUNTS: Final = schema.mapping(schema.mapping(schema.count))


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What was drawn.

    Attributes:
        values: number of Cases by field and by the class of its value.
        pairs: how many pairs of classes of two fields can occur together.
        missing: those of them that did not: "field=class" to what it was never seen with.
        arms: number of verdicts by path and by the kernels that may have run, by the library's dispatch rule.
        unreachable: "field=class" to the reason why no Case of this device has it.
    """

    values: dict[str, dict[str, int]] = field(default_factory=dict)
    pairs: int = 0
    missing: dict[str, list[str]] = field(default_factory=dict)
    arms: dict[str, dict[str, int]] = field(default_factory=dict)
    unreachable: dict[str, str] = field(default_factory=dict)

    @property
    def visited_pairs(self) -> int:
        """Number of pairs that occurred."""
        return self.pairs - sum(len(others) for others in self.missing.values())

    @property
    def never_drawn(self) -> list[str]:
        """The classes that no Case had, as "field=class"; those that none could have are not among them."""
        drawn = (f"{name}={value}" for name, counts in self.values.items() for value, count in counts.items() if not count)
        return [each for each in drawn if each not in self.unreachable]

    @classmethod
    def from_json(cls, data: Any, place: str) -> Self:
        """The coverage in `run.json`.

        Raises:
            RecordError: something is missing or malformed; one sentence.
        """
        schema.check(data, place, _MEMBERS, _OPTIONAL)
        return cls(**data)

    def to_json(self) -> dict[str, Any]:
        """The coverage as JSON data."""
        return dataclasses.asdict(self)


_MEMBERS: Final[dict[str, schema.Check]] = {
    "values": _COUNTS,
    "pairs": schema.count,
    "missing": schema.mapping(schema.array(schema.text)),
    "arms": _COUNTS,
}
_OPTIONAL: Final[dict[str, schema.Check]] = {"unreachable": schema.mapping(schema.text)}  # earlier runs do not have it


def lines(coverage: Coverage) -> Iterator[str]:
    """The coverage as a table, a field a line, preceded by what it comes to."""
    if not coverage.values:
        return
    values = sum(len(counts) for counts in coverage.values.values()) - len(coverage.unreachable)
    share = 100 * coverage.visited_pairs / coverage.pairs if coverage.pairs else 100.0
    yield (
        f"coverage: {values - len(coverage.never_drawn)} of {values} values, "
        f"{coverage.visited_pairs} of {coverage.pairs} pairs of values ({share:.1f} %)"
    )
    width = max(len(name) for name in (*coverage.values, *coverage.arms))
    for table in (coverage.values, coverage.arms):
        for name, counts in table.items():
            yield f"  {name:<{width}}  " + "; ".join(f"{value}: {count}" for value, count in counts.items())
    if coverage.never_drawn:
        yield f"never drawn: {'; '.join(coverage.never_drawn)}"
    if coverage.unreachable:
        yield f"not reachable: {'; '.join(f'{name} ({reason})' for name, reason in coverage.unreachable.items())}"


def together(parts: Iterable[Coverage]) -> Coverage:
    """The coverage of several runs: what one of them visited is visited."""
    return reduce(_both, parts, Coverage())


def _both(one: Coverage, other: Coverage) -> Coverage:
    if not one.values or not other.values:
        return other if other.values else one
    return Coverage(
        values=added(one.values, other.values),
        pairs=max(one.pairs, other.pairs),
        missing=_missing(one, other),
        arms=added(one.arms, other.arms),
        unreachable={name: reason for name, reason in one.unreachable.items() if name in other.unreachable},
    )


def _missing(one: Coverage, other: Coverage) -> dict[str, list[str]]:
    """The pairs that neither visited: each had them missing, or could not have them."""
    names = dict.fromkeys([*one.missing, *other.missing])
    missing = {
        name: [
            partner
            for partner in dict.fromkeys([*one.missing.get(name, []), *other.missing.get(name, [])])
            if _lacks(one, name, partner) and _lacks(other, name, partner)
        ]
        for name in names
    }
    return {name: partners for name, partners in missing.items() if partners}


def _lacks(coverage: Coverage, name: str, partner: str) -> bool:
    return not coverage.unreachable.keys().isdisjoint((name, partner)) or partner in coverage.missing.get(name, [])


def added(one: Mapping[str, Mapping[str, int]], other: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """The sums of nested counts; what only one of them has is kept."""
    return {name: _sums(one.get(name, {}), other.get(name, {})) for name in dict.fromkeys([*one, *other])}


def _sums(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    # Not a sum of Counters, which drops what is zero: that is what a coverage is read for.
    return {value: one.get(value, 0) + other.get(value, 0) for value in dict.fromkeys([*one, *other])}
