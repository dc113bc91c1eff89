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
    """

    values: dict[str, dict[str, int]] = field(default_factory=dict)
    pairs: int = 0
    missing: dict[str, list[str]] = field(default_factory=dict)
    arms: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def visited_pairs(self) -> int:
        """Number of pairs that occurred."""
        return self.pairs - sum(len(others) for others in self.missing.values())

    @property
    def never_drawn(self) -> list[str]:
        """The classes that no Case had, as "field=class"."""
        return [f"{name}={value}" for name, counts in self.values.items() for value, count in counts.items() if not count]

    @classmethod
    def from_json(cls, data: Any, place: str) -> Self:
        """The coverage in `run.json`.

        Raises:
            RecordError: something is missing or malformed; one sentence.
        """
        schema.check(data, place, _MEMBERS)
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


def lines(coverage: Coverage) -> Iterator[str]:
    """The coverage as a table, a field a line, preceded by what it comes to."""
    if not coverage.values:
        return
    values = sum(len(counts) for counts in coverage.values.values())
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


def together(parts: Iterable[Coverage]) -> Coverage:
    """The coverage of several runs: what one of them visited is visited."""
    return reduce(_both, parts, Coverage())


def _both(one: Coverage, other: Coverage) -> Coverage:
    if not one.values or not other.values:
        return other if other.values else one
    return Coverage(
        values=added(one.values, other.values),
        pairs=max(one.pairs, other.pairs),
        missing={name: common for name, others in one.missing.items() if (common := _common(others, other.missing.get(name, [])))},
        arms=added(one.arms, other.arms),
    )


def _common(one: list[str], other: list[str]) -> list[str]:
    also = set(other)
    return [name for name in one if name in also]


def added(one: Mapping[str, Mapping[str, int]], other: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """The sums of nested counts; what only one of them has is kept."""
    return {name: _sums(one.get(name, {}), other.get(name, {})) for name in dict.fromkeys([*one, *other])}


def _sums(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    # Not a sum of Counters, which drops what is zero: that is what a coverage is read for.
    return {value: one.get(value, 0) + other.get(value, 0) for value in dict.fromkeys([*one, *other])}
