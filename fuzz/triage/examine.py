"""Looks at a minimal Case: which fields its failure needs, and which of their values fail."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from fuzz.engine.verdict import CaseResult, FailureKey, Outcome
from fuzz.triage.condition import Condition
from fuzz.triage.sizes import BLOCKSIZE, SizeRule, learn
from strategies import fields
from strategies.case import MAX_SEED, Case, CaseError, Fill, PackedView

Ask = Callable[[Case], Outcome]
"""Says what a Case says about the failure."""

Run = Callable[[Case, FailureKey], CaseResult]
"""Runs a Case on the key's path."""


RANDOM: Final = frozenset(
    {Fill.INTEGERS, Fill.NORMAL, Fill.HEAVY_TAILED, Fill.CANCELLING, Fill.HUGE, Fill.TINY, Fill.SUBNORMAL, Fill.STEPPED, Fill.ZERO_BLOCKS}
)
OTHER_FILLINGS: Final = 2
"""Other numbers that are tried where a value seems to pass."""
REFILLED: Final = 6
"""Other numbers by which it is judged whether a failure is a matter of the numbers."""


class Effort(enum.Enum):
    """How many Cases an examination may cost."""

    FULL = "full"
    LITTLE = "little"
    LEAST = "least"


PROBES: Final = {
    Effort.FULL: (1, 2, 3, 16, 32, 64, 65, 128, 192, 1024, 4096),
    Effort.LITTLE: (1, 2, 3, 64, 65),
    Effort.LEAST: (1, 64),
}
"""Sizes that are tried in place of the minimal one: both sides of one, of a warp, of a block, and large ones. An odd number
of blocks is among them, or multiples of one block would pass for multiples of two."""

PROBED_ROWS: Final = {Effort.FULL: (1, 2, 3, 4, 5, 8, 16, 17, 32, 64), Effort.LITTLE: (1, 2, 4, 64, 65), Effort.LEAST: (1, 64)}

BESIDE: Final[dict[Effort, Callable[[int], tuple[int, ...]]]] = {
    Effort.FULL: lambda size: (size - 1, size + 1, size + 2, 2 * size, 2 * size + 1, 3 * size),
    Effort.LITTLE: lambda size: (size - 1, size + 1, size + 2, 2 * size),
    Effort.LEAST: lambda size: (size - 1, size + 1),
}
"""Sizes beside the minimal one."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What a failure needs.

    Attributes:
        triggers: for the signature: of each necessary field the value in the minimal Case, of each size the words.
        condition: the same with everything that was seen to fail.
    """

    triggers: dict[str, Any]
    condition: Condition


def examine(case: Case, ask: Ask, effort: Effort = Effort.FULL, *, numbers: bool = False) -> Examined:
    """The triggers of a minimal Case.

    Args:
        case: minimal: no choice can be duller and no size smaller by one.
        ask: is asked about some sizes of each dimension, and about the other values of each field that is not neutral.
        effort: how many sizes.
        numbers: whether such a failure depends on the numbers anyway.
    """
    fillings = REFILLED if numbers else 0
    triggers = {name: value for name, value in fields.triggers(case).items() if _needed(case, name, ask, fillings)}
    outcomes = {name: _outcomes(case, name, ask) for name in triggers}
    # What cannot be told counts as failing, so that it is neutralised when it is met.
    choices = {name: _those(told, set(Outcome) - {Outcome.PASSES}) for name, told in outcomes.items()}
    otherwise = {name: _those(told, {Outcome.OTHERWISE}) for name, told in outcomes.items()}
    revealing = _revealing(case, ask)
    if numbers or by_chance(revealing, ask):  # then sizes only change the numbers, and each fill has its lucky ones
        widened = {name: values if name not in fields.FILLS else frozenset(fields.CHOICES[name][1:]) for name, values in choices.items()}
        return Examined(triggers, Condition(widened))
    sizes = {name: rule for name in fields.SIZES if (rule := size_rule(revealing, name, ask, effort)) is not None}
    return Examined(triggers | {name: rule.words for name, rule in sizes.items()}, Condition(choices, MappingProxyType(sizes), otherwise))


def _needed(case: Case, name: str, ask: Ask, fillings: int) -> bool:
    """Whether the failure goes away with the neutral value: where the path does not take the Case, that is not what it needs.

    Nor is it where other numbers fail with the neutral value. Some releases take one view of the packed weight with each
    layout, so the other view is tried then.
    """
    try:
        changed = fields.replace(case, name, fields.neutral(name))
        outcome = ask(changed)
        if outcome is Outcome.NOT_RUN and name != "packed":
            outcome = ask(other_view(changed))
    except CaseError:
        return True
    if outcome is Outcome.PASSES and any(ask(other) is Outcome.FAILS for other in refilled(changed, fillings)):
        return False
    if name == "execution.mode" and outcome is Outcome.BLOCKED:  # most paths run in one mode only, whatever comes before them
        return False
    return outcome not in {Outcome.FAILS, Outcome.NOT_RUN}


def other_view(case: Case) -> Case:
    """The Case with the packed weight handed on the other way round."""
    other = PackedView.TRANSPOSED if case.packed is PackedView.RETURNED else PackedView.RETURNED
    return fields.replace(case, "packed", other)


def _outcomes(case: Case, name: str, ask: Ask) -> dict[Any, Outcome]:
    """What the value in the Case and those like it say."""
    value = fields.get(case, name)
    return {value: Outcome.FAILS} | {other: _outcome(case, name, other, ask) for other in fields.alike(name, value) if other != value}


def _those(told: Mapping[Any, Outcome], outcomes: AbstractSet[Outcome]) -> frozenset[Any]:
    return frozenset(value for value, outcome in told.items() if outcome in outcomes)


def _revealing(case: Case, ask: Ask) -> Case:
    """The Case with the fillings in which no two numbers are alike, where it fails with them.

    A dull filling shows a failure at sizes that depend on where its numbers lie.
    """
    for names in (fields.FILLS, *((name,) for name in fields.FILLS)):
        changed = case
        for name in names:
            changed = fields.replace(changed, name, Fill.NORMAL)
        if changed == case or ask(changed) is Outcome.FAILS:
            return changed
    return case


def size_rule(case: Case, name: str, ask: Ask, effort: Effort = Effort.FULL) -> SizeRule | None:
    """Which values of a size fail, everything else as in `case`; None if all do."""
    size: int = fields.get(case, name)
    probes = (*(PROBED_ROWS if name == fields.ROWS else PROBES)[effort], *BESIDE[effort](size))
    outcomes = {size: Outcome.FAILS} | {probe: _outcome(case, name, probe, ask) for probe in probes if probe not in {0, size}}
    rule = learn({probe: outcome is Outcome.FAILS for probe, outcome in outcomes.items() if outcome in _TOLD})
    if rule is None:
        # Where it never passes, it may still give way to another failure.
        gone = _TOLD | {Outcome.OTHERWISE}
        rule = learn({probe: outcome is Outcome.FAILS for probe, outcome in outcomes.items() if outcome in gone})
    return rule if rule is None else _following_blocks(case, name, rule, ask)


def _following_blocks(case: Case, name: str, rule: SizeRule, ask: Ask) -> SizeRule:
    """The rule with the blocksize in place of its numbers, where these follow the blocksize."""
    blocksize = case.quantization.blocksize
    relative = SizeRule(
        least=1 if rule.least == blocksize + 1 else rule.least,
        multiple_of=BLOCKSIZE if rule.multiple_of == blocksize else rule.multiple_of,
        not_multiple_of=None if rule.not_multiple_of is None else BLOCKSIZE,
        beyond_block=rule.least == blocksize + 1,
    )
    if name == fields.ROWS or rule.passing or rule.most is not None or relative == rule:
        return rule
    try:
        doubled = fields.replace(case, "quantization.blocksize", 2 * blocksize)
        outcomes = {size: ask(fields.replace(doubled, name, size)) for size in _beside(blocksize)}
    except CaseError:
        return rule
    told = {size: outcome is Outcome.FAILS for size, outcome in outcomes.items() if outcome in _TOLD}
    # Only what tells the two rules apart tells whether the numbers follow the blocksize.
    tells = any(rule.holds(size, 2 * blocksize) != relative.holds(size, 2 * blocksize) for size in told)
    agrees = all(relative.holds(size, 2 * blocksize) == outcome for size, outcome in told.items())
    return relative if tells and agrees else rule


def _beside(blocksize: int) -> tuple[int, ...]:
    """Sizes beside one, two and four blocks, and at them."""
    return (blocksize, blocksize + 1, 2 * blocksize, 2 * blocksize + 1, 3 * blocksize, 4 * blocksize)


_TOLD: Final = frozenset({Outcome.FAILS, Outcome.PASSES})


def _outcome(case: Case, name: str, value: Any, ask: Ask) -> Outcome:
    """What another value says: that it fails if it does with one of several fillings, since numbers may hide it."""
    try:
        changed = fields.replace(case, name, value)
    except CaseError:
        return Outcome.NOT_RUN
    first = ask(changed)
    if first is Outcome.PASSES and any(ask(other) is Outcome.FAILS for other in refilled(changed, OTHER_FILLINGS)):
        return Outcome.FAILS
    return first


def refilled(case: Case, count: int) -> Iterator[Case]:
    """The Case with other numbers of the same kind; none if its numbers are dull on purpose."""
    if case.activation.fill in RANDOM or case.weight.fill in RANDOM:
        for seed in range(case.seed + 1, min(case.seed + count, MAX_SEED) + 1):
            yield fields.replace(case, "seed", seed)


def by_chance(case: Case, ask: Ask) -> bool:
    """Whether it depends on the numbers rather than on the Case if it fails: most other numbers of the same kind pass."""
    others, fail = list(refilled(case, REFILLED)), 0
    for other in others:
        if 2 * fail >= len(others):
            break  # the rest changes nothing, and each that fails may cost a child
        fail += ask(other) is Outcome.FAILS
    return 2 * fail < len(others)
