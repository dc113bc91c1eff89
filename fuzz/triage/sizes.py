"""Rules about a size: which sizes fail, learned from some that do and some that do not.

A rule is a conjunction of at most four parts: `>= a`, `<= b`, `% p == 0`, `% q != 0`, where p or q may be the Case's own
blocksize, and `>= a` may be `> blocksize`. Where no such rule agrees with what was tried, the rule is irregular: what was
seen to pass passes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

BLOCKSIZE: Final = "blocksize"
"""Stands for the blocksize of the Case, where a modulus follows it."""

POWERS: Final = tuple(2**power for power in range(1, 13))
"""Moduli that are considered: everything in these kernels comes in powers of two, up to the largest blocksize."""

ROUND: Final = 4096
"""A multiple of every modulus, for sizes that have to be harmless in every respect but their length."""

WORDS: Final = ("zero", "odd", "unaligned", "even", "aligned", "large", "small", "irregular")

_PART: Final = re.compile(r"(>=|<=|==|>|%) ?(0|[1-9][0-9]{0,9}|blocksize)(?: (==|!=) 0)?")


class SizeRuleError(ValueError):
    """A text that is not a rule about a size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRule:
    """Which sizes fail.

    Attributes:
        least, most: bounds, both included; `most` None: no upper bound. Only `ZERO` holds for zero: what fails for nothing at
            all fails for another reason than what fails for something.
        multiple_of: failing sizes are multiples of it; `BLOCKSIZE` for that of the Case.
        not_multiple_of: failing sizes are no multiples of it; `BLOCKSIZE` for that of the Case, None for no such part.
        beyond_block: failing sizes are larger than the Case's blocksize; of a rule that was learned, `least` is 1 then.
        passing: of an irregular rule, the sizes that were seen to pass; empty for all others.
    """

    least: int = 1
    most: int | None = None
    multiple_of: int | str = 1
    not_multiple_of: int | str | None = None
    beyond_block: bool = False
    passing: frozenset[int] = frozenset()

    def holds(self, size: int, blocksize: int) -> bool:
        """Whether `size` fails by this rule, or may, if the rule is irregular."""
        if self.passing:
            return size not in self.passing
        modulus = self._modulus(blocksize)
        return (
            self._least(blocksize) <= size
            and (self.most is None or size <= self.most)
            and size % _number(self.multiple_of, blocksize) == 0
            and (modulus is None or size % modulus != 0)
        )

    def harmless(self, size: int, blocksize: int) -> Iterator[int]:
        """Sizes for which the rule does not hold, those that change least first."""
        aligned = math.lcm(blocksize, self._modulus(blocksize) or 1)
        candidates = [-(-size // aligned) * aligned, size + 1, *sorted(self.passing, key=lambda other: abs(other - size)), 1]
        candidates += [self._least(blocksize) - 1, *([] if self.most is None else [max(self.most + 1, aligned)]), ROUND]
        for candidate in dict.fromkeys(candidates):
            if candidate >= 1 and not self.holds(candidate, blocksize):
                yield candidate

    def is_like(self, other: SizeRule) -> bool:
        """Whether both may be of one defect, which needs so much of two sizes together: bounds may differ, and remainders may not.

        Where only one of them speaks of remainders, too few sizes may have told for the other.
        """
        return self.not_multiple_of == other.not_multiple_of or None in {self.not_multiple_of, other.not_multiple_of}

    @property
    def words(self) -> str:
        """The rule without its numbers, which may depend on the device: "odd+large", say."""
        if self.passing:
            return "irregular"
        if self == ZERO:
            return "zero"
        words = []
        if self.not_multiple_of is not None:
            words.append("odd" if self.not_multiple_of == POWERS[0] else "unaligned")
        if self.multiple_of != 1:
            words.append("even" if self.multiple_of == POWERS[0] else "aligned")
        if self.least > _number(self.multiple_of, self.least) or self.beyond_block:
            words.append("large")
        if self.most is not None:
            words.append("small")
        return "+".join(words) or "any"

    @property
    def text(self) -> str:
        """The rule as people write it and as `parse` reads it, such as "% 64 != 0, >= 65"."""
        if self.passing:
            return "irregular"
        if self.least == self.most:
            return f"== {self.least}"
        parts = [f"% {self.multiple_of} == 0"] if self.multiple_of != 1 else []
        parts += [f"% {self.not_multiple_of} != 0"] if self.not_multiple_of is not None else []
        parts += [f">= {self.least}"] if self.least > 1 else []
        parts += [f"> {BLOCKSIZE}"] if self.beyond_block else []
        parts += [f"<= {self.most}"] if self.most is not None else []
        return ", ".join(parts) or "any"

    def _modulus(self, blocksize: int) -> int | None:
        return None if self.not_multiple_of is None else _number(self.not_multiple_of, blocksize)

    def _least(self, blocksize: int) -> int:
        return max(blocksize + 1, self.least) if self.beyond_block else self.least

    @property
    def _parts(self) -> int:
        bounds = (self.least > 1) + (self.most is not None)
        return bounds + (self.multiple_of != 1) + (self.not_multiple_of is not None)


def _number(modulus: int | str, blocksize: int) -> int:
    return modulus if isinstance(modulus, int) else blocksize


ZERO: Final = SizeRule(least=0, most=0)

_FROM_WORD: Final[dict[str, SizeRule]] = {
    "zero": ZERO,
    "odd": SizeRule(not_multiple_of=2),
    "unaligned": SizeRule(not_multiple_of=POWERS[-1]),
    "even": SizeRule(multiple_of=2),
    "aligned": SizeRule(multiple_of=4),
    "large": SizeRule(least=2),
    "small": SizeRule(most=63),
    "irregular": SizeRule(passing=frozenset({64, ROUND})),
}
"""What a word stands for at most: a word tells less than the rule that it was made from."""


def parse(text: str) -> SizeRule:
    """The rule that `SizeRule.text` or `SizeRule.words` wrote, or one that has parts of both, such as "odd, >= 33".

    Raises:
        SizeRuleError: it is neither, or it leaves out no size, in one sentence.
    """
    parts = [part.strip() for part in re.split(r"[+,]", text)]
    rules = [_FROM_WORD.get(part) or _parse_part(part) for part in parts]
    multiples = {rule.multiple_of for rule in rules} - {1}
    if len({rule.not_multiple_of for rule in rules} - {None}) > 1 or (BLOCKSIZE in multiples and len(multiples) > 1):
        raise SizeRuleError(f"{text!r} has several parts about multiples where a rule has one")
    if len(rules) > 1 and any(rule.passing for rule in rules):
        raise SizeRuleError(f"{text!r} has more parts than 'irregular', which stands alone")
    if len(rules) > 1 and ZERO in rules:
        raise SizeRuleError(f"{text!r} has more parts than 'zero', which stands alone")
    rule = _together(rules)
    if rule == SizeRule():
        raise SizeRuleError(f"{text!r} is so of every size")
    return rule


def _parse_part(text: str) -> SizeRule:
    found = _PART.fullmatch(text)
    sign, number, equals = found.groups() if found else ("", "", None)
    relative, misplaced = sign in {"%", ">"}, number == "0" and sign != "=="
    if (
        not found
        or misplaced
        or (sign == "%") != (equals is not None)
        or (number == BLOCKSIZE) > relative
        or (sign == ">" and number != BLOCKSIZE)
    ):
        raise SizeRuleError(f'{text!r} is not a rule about a size, such as "odd", "% 64 != 0" or ">= 33"')
    if sign == ">":
        return SizeRule(beyond_block=True)
    if sign == "%":
        modulus = number if number == BLOCKSIZE else int(number)
        return SizeRule(not_multiple_of=modulus) if equals == "!=" else SizeRule(multiple_of=modulus)
    if number == "0":
        return ZERO
    return SizeRule(least=int(number) if sign in {">=", "=="} else 1, most=int(number) if sign in {"<=", "=="} else None)


def _together(rules: list[SizeRule]) -> SizeRule:
    mosts = [rule.most for rule in rules if rule.most is not None]
    return SizeRule(
        least=max(rule.least for rule in rules),
        most=min(mosts, default=None),
        multiple_of=_common_multiple([rule.multiple_of for rule in rules]),
        beyond_block=any(rule.beyond_block for rule in rules),
        not_multiple_of=next((rule.not_multiple_of for rule in rules if rule.not_multiple_of is not None), None),
        passing=frozenset().union(*(rule.passing for rule in rules)),
    )


def _common_multiple(moduli: list[int | str]) -> int | str:
    numbers = [modulus for modulus in moduli if isinstance(modulus, int)]
    return math.lcm(*numbers) if len(numbers) == len(moduli) else BLOCKSIZE


def learn(outcomes: Mapping[int, bool]) -> SizeRule | None:
    """The simplest rule that agrees with `outcomes` (size to whether it fails); None if every size fails.

    Of equally simple rules it is the one that holds for more sizes, so that what is neutralised by it is surely neutral.

    Raises:
        ValueError: no size fails.
    """
    failing = sorted(size for size, fails in outcomes.items() if fails)
    passing = sorted(size for size, fails in outcomes.items() if not fails)
    if failing == [0]:
        return ZERO if passing else None
    if not failing:
        raise ValueError("a rule about failing sizes needs one that fails")
    if not passing:
        return None
    rules = list(_rules(failing, passing))
    if not rules:
        return SizeRule(passing=frozenset(passing))
    # An upper bound is what a failure has least often, and of equals min keeps the first, which is the wider one.
    return min(rules, key=lambda rule: (rule._parts, rule.most is not None))  # noqa: SLF001


def _rules(failing: list[int], passing: list[int]) -> Iterator[SizeRule]:
    for multiple in (1, *POWERS):
        if any(size % multiple for size in failing):
            continue
        for modulus in (None, *reversed(POWERS)):
            if modulus is not None and (modulus <= multiple or any(size % modulus == 0 for size in failing)):
                continue
            left = [size for size in passing if size % multiple == 0 and (modulus is None or size % modulus)]
            if not any(failing[0] < size < failing[-1] for size in left):
                least = failing[0] if any(size < failing[0] for size in left) else 1
                most = failing[-1] if any(size > failing[-1] for size in left) else None
                yield SizeRule(least=least, most=most, multiple_of=multiple, not_multiple_of=modulus)
