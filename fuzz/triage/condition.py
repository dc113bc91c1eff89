"""When a defect acts, as far as a Case can tell: a conjunction over fields, which can be taken back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from fuzz.engine.contract import is_ambiguous
from fuzz.triage.sizes import ZERO, SizeRule, SizeRuleError, parse
from strategies import fields
from strategies.case import NON_FINITE, Case, CaseError, Fill, Layout

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
NOT_ONES: Final = "!=ones"
MEASURES: Final = ("quantization.blocksize", "quantization.storage")
"""Choices that say how many elements of a weight make one of something else."""

ANY_FILL: Final = "fill"
"""What signatures say of fills, as one field: that of some tensor is not ones."""


@dataclass(frozen=True, slots=True)
class Condition:
    """All of these at once. One that is empty holds for every Case and cannot be taken back.

    A condition that does not speak of the layout is about the weight as it is stored: it holds for an [in, out] weight
    too if it holds for the [out, in] weight of the same stored shape.

    Attributes:
        choices: for each choice field, the values that fail.
        sizes: for each size, the rule.
        otherwise: those of the choices' values with which another failure is seen in place of this one.
    """

    choices: Mapping[str, frozenset[Any]] = field(default_factory=lambda: _NOTHING)
    sizes: Mapping[str, SizeRule] = field(default_factory=lambda: _NOTHING)
    otherwise: Mapping[str, frozenset[Any]] = field(default_factory=lambda: _NOTHING)

    def holds(self, case: Case) -> bool:
        """Whether the defect may act on `case`: one necessary field that is harmless, and it does not."""
        return self._holds(case) or ((turned := self._turned(case)) is not None and self._holds(turned))

    def shows(self, case: Case) -> bool:
        """Whether the defect may be what is seen on `case`."""
        return self.holds(case) and not any(fields.get(case, name) in values for name, values in self.otherwise.items())

    def _holds(self, case: Case) -> bool:
        blocksize = case.quantization.blocksize
        return all(fields.get(case, name) in values for name, values in self.choices.items()) and all(
            rule.holds(fields.get(case, name), blocksize) for name, rule in self.sizes.items()
        )

    def taken_back(self, case: Case) -> Case | None:
        """`case` with the triggers neutral, so that the condition does not hold; None if it cannot be.

        Each trigger is necessary, so one would do. Choices are taken back rather than sizes, and either rather than
        fills: what shows a defect is not what causes it, and another one may need the same fill to be seen.
        """
        return next(self.ways_back(case), None)

    def ways_back(self, case: Case) -> Iterator[Case]:
        """All that `taken_back` may be, the best first: what is ambiguous comes last, because no path takes it."""
        ambiguous = []
        for change in (self._choices_neutral, self.harmless_sizes, self._fills_neutral):
            for changed in self._as_stored_too(case, change):
                if self.holds(changed):
                    continue
                if is_ambiguous(changed):
                    ambiguous.append(changed)
                else:
                    yield changed
        yield from ambiguous

    def _as_stored_too(self, case: Case, change: Callable[[Case], Iterator[Case]]) -> Iterator[Case]:
        """The changes of a Case, those of the turned one, then both at once: the condition may hold for either."""
        yield from change(case)
        turned = self._turned(case)
        backs = [back for changed in (() if turned is None else change(turned)) if (back := turn(changed)) is not None]
        yield from backs
        for back in backs:
            yield from change(back)

    def _turned(self, case: Case) -> Case | None:
        """The [out, in] weight of the same stored shape, if there is one and the condition makes no difference."""
        if case.weight.layout is Layout.OUT_IN or "weight.layout" in self.choices or not self.sizes:
            return None
        return turn(case)

    def resembles(self, other: Condition) -> bool:
        """Whether both are about the same choices, fills apart, and about sizes of which one at least has a rule of the same kind.

        What the sizes are measured in, blocks or elements of the packed weight, may be another choice then.
        One of them may be about no sizes if there are choices that are the same, or both: where only a Case of some size
        shows a defect, it may be the one dimension's or the other's. Which tensor needs a fill for that depends on it too.
        """
        if self.sizes and other.sizes:
            empty = ZERO in self.sizes.values() and ZERO in other.sizes.values()  # a weight without elements is one, either way
            shared = self.sizes.keys() & other.sizes.keys()
            alike = empty or any(self.sizes[name].is_like(other.sizes[name]) for name in shared)
            return alike and self.same_choices(other, (*fields.FILLS, *MEASURES))
        if not self.same_choices(other):
            return False
        return bool(self.choices.keys() - set(fields.FILLS)) or not (self.sizes or other.sizes)

    def same_choices(self, other: Condition, apart: Collection[str] = fields.FILLS) -> bool:
        """Whether both are about the same choices, those `apart` left out."""
        return self.choices.keys() - set(apart) == other.choices.keys() - set(apart)

    def _choices_neutral(self, case: Case) -> Iterator[Case]:
        yield from _neutral(case, [name for name in self.choices if name not in fields.FILLS])

    def _fills_neutral(self, case: Case) -> Iterator[Case]:
        yield from _neutral(case, [name for name in self.choices if name in fields.FILLS])

    def harmless_sizes(self, case: Case) -> Iterator[Case]:
        """The Case with one size for which its rule does not hold, for every such size."""
        blocksize = case.quantization.blocksize
        for name, rule in self.sizes.items():
            for size in rule.harmless(fields.get(case, name), blocksize):
                try:
                    yield fields.replace(case, name, size)
                except CaseError:
                    continue


def turn(case: Case) -> Case | None:
    """The other layout with the stored shape kept; None if that is no Case."""
    weight = case.weight
    layout = Layout.OUT_IN if weight.layout is Layout.IN_OUT else Layout.IN_OUT
    turned = dataclasses.replace(weight, layout=layout, out_features=weight.in_features, in_features=weight.out_features)
    try:
        return dataclasses.replace(case, weight=turned)
    except CaseError:
        return None


def _neutral(case: Case, names: list[str]) -> Iterator[Case]:
    """The Case with neutral values; several rows, or none, need a second dimension, so that a single row comes next."""
    if not names:
        return
    for name in names:
        case = fields.replace(case, name, 2 if _is_rank_of_rows(case, name) else fields.neutral(name))
    yield case
    if any(_is_rank_of_rows(case, name) for name in names):
        yield fields.replace(case, "activation.leading", ())


def _is_rank_of_rows(case: Case, name: str) -> bool:
    return name == "activation.rank" and case.activation.rows != 1


def all_taken_back(conditions: Sequence[Condition], case: Case) -> Case | None:
    """`case` with every condition taken back that holds, so that none does; None if they cannot all be.

    Taking one back may bring another about, a size that becomes even, say: hence the rounds.
    """
    for _ in range(len(conditions) + 1):
        acting = [condition for condition in conditions if condition.holds(case)]
        if not acting:
            return case
        for condition in acting:
            if condition.holds(case):
                ways = list(condition.ways_back(case))
                if not ways:
                    return None
                case = next((way for way in ways if not any(other.holds(way) for other in conditions)), ways[0])
    return None


def parse_triggers(triggers: Mapping[str, Any]) -> Condition:
    """The condition of triggers as a finding or a known-issues file has them.

    A choice field has one value or a list of values, as in the JSON of a Case; a size has a rule; a fill may be
    "!=ones", and so may be "fill", which signatures have for the fill of whatever tensor.

    Raises:
        CaseError: no such field, or no such value of it.
        SizeRuleError: a size has something else than a rule.
    """
    choices: dict[str, frozenset[Any]] = {}
    sizes: dict[str, SizeRule] = {}
    for name, value in triggers.items():
        if name in fields.SIZES:
            if not isinstance(value, str):
                raise SizeRuleError(f'{name} is {value!r}, not a rule about a size, such as "odd", "% 64 != 0" or ">= 33"')
            sizes[name] = parse(value)
        elif name == ANY_FILL and value == NOT_ONES:
            if len(triggers) == 1:  # beside others it only says when the defect can be seen
                choices["weight.fill"] = frozenset(Fill) - {Fill.ONES} - NON_FINITE
        elif name in fields.FILLS and value == NOT_ONES:
            # Alone it would explain whatever infinity and NaN do; beside others it only says when the defect can be seen.
            choices[name] = frozenset(Fill) - {Fill.ONES} - (NON_FINITE if len(triggers) == 1 else frozenset())
        else:
            values = value if isinstance(value, list) else [value]
            if not values:
                raise CaseError(f"{name} has no value")
            choices[name] = frozenset(fields.parse_value(name, item) for item in values)
    return Condition(MappingProxyType(choices), MappingProxyType(sizes))
