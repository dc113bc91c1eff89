"""Looks at a minimal Case: which fields its failure needs, and which of their values fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from fuzz.triage.condition import Condition
from fuzz.triage.sizes import BLOCKSIZE, SizeRule, learn
from strategies import fields
from strategies.case import MAX_SEED, Case, CaseError, Fill

Fails = Callable[[Case], bool | None]
"""Tells whether a Case fails; None where that says nothing, because another defect may act there."""

PROBES: Final = (1, 2, 3, 16, 32, 64, 65, 128, 1024, 4096)
"""Sizes that are tried in place of the minimal one: both sides of one, of a warp, of a block, and large ones."""

PROBED_ROWS: Final = (1, 2, 3, 4, 5, 8, 16, 17, 32, 64)


@dataclass(frozen=True, slots=True)
class Examined:
    """What a failure needs.

    Attributes:
        triggers: for the signature: of each necessary field the value in the minimal Case, of each size the words.
        condition: the same with everything that was seen to fail.
    """

    triggers: dict[str, Any]
    condition: Condition


def examine(case: Case, fails: Fails) -> Examined:
    """The triggers of a minimal Case.

    Args:
        case: minimal: no choice can be duller and no size smaller by one.
        fails: is asked about ten sizes a dimension, and about the other values of each field that is not neutral.
    """
    triggers = fields.triggers(case)
    choices = {name: frozenset(_failing_values(case, name, fails)) for name in triggers}
    sizes = {name: rule for name in fields.SIZES if (rule := size_rule(case, name, fails)) is not None}
    return Examined(triggers | {name: rule.words for name, rule in sizes.items()}, Condition(choices, MappingProxyType(sizes)))


def _failing_values(case: Case, name: str, fails: Fails) -> Iterator[Any]:
    value = fields.get(case, name)
    yield value
    if name == "execution.relation":  # another relation is another failure
        return
    for other in fields.CHOICES[name][1:]:
        # What cannot be told counts as failing, so that it is neutralised when it is met.
        if other != value and _outcome(case, name, other, fails) is not False:
            yield other


def size_rule(case: Case, name: str, fails: Fails) -> SizeRule | None:
    """Which values of a size fail, everything else as in `case`; None if all do."""
    size: int = fields.get(case, name)
    probes = (*(PROBED_ROWS if name == fields.ROWS else PROBES), size - 1, size + 1, size + 2, 2 * size, 2 * size + 1, 3 * size)
    outcomes = {size: True}
    for probe in probes:
        if probe >= 1 and probe not in outcomes and (outcome := _outcome(case, name, probe, fails)) is not None:
            outcomes[probe] = outcome
    rule = learn(outcomes)
    return rule if rule is None else _following_blocks(case, name, rule, fails)


def _following_blocks(case: Case, name: str, rule: SizeRule, fails: Fails) -> SizeRule:
    """The rule with the blocksize in place of its modulus, if the modulus follows the blocksize."""
    blocksize = case.quantization.blocksize
    if rule.not_multiple_of is None or name == fields.ROWS:
        return rule
    try:
        doubled = fields.replace(case, "quantization.blocksize", 2 * blocksize)
        here, beyond = fields.replace(doubled, name, blocksize), fields.replace(doubled, name, 2 * blocksize)
    except CaseError:
        return rule
    if rule.holds(blocksize, blocksize) or not fails(here) or fails(beyond) is not False:
        return rule
    return SizeRule(least=rule.least, most=rule.most, multiple_of=rule.multiple_of, not_multiple_of=BLOCKSIZE)


def _outcome(case: Case, name: str, value: Any, fails: Fails) -> bool | None:
    """Whether the failure is there with another value: with one of several fillings, since numbers may hide it."""
    try:
        changed = fields.replace(case, name, value)
    except CaseError:
        return None
    outcomes = [fails(changed)]
    if outcomes[0] is False:
        outcomes += [fails(other) for other in _other_fillings(changed)]
    return True if True in outcomes else outcomes[0]


def _other_fillings(case: Case) -> Iterator[Case]:
    """The Case with other numbers of the same kind; none if its numbers are dull on purpose."""
    random = {Fill.INTEGERS, Fill.NORMAL, Fill.HEAVY_TAILED, Fill.CANCELLING, Fill.HUGE, Fill.TINY}
    if case.activation.fill in random or case.weight.fill in random:
        for seed in (case.seed + 1, case.seed + 2):
            if seed <= MAX_SEED:
                yield fields.replace(case, "seed", seed)
