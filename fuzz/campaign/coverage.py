"""What a run has visited: classes of Cases, pairs of them, and the kernels that the paths may have run."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

from fuzz.engine.verdict import CaseResult
from reports.coverage import Coverage
from strategies.case import Case
from strategies.classes import CLASSES, classes_of, pairs
from strategies.reach import reasons

ALTERNATIVE = " or "
"""Between the names of kernels of which one ran, where the dispatch rule does not tell which."""


class Visited:
    """Counts of one run. Only Cases that were drawn count: what a reduction tries says nothing about the strategies."""

    def __init__(self) -> None:
        self._classes: Counter[tuple[str, str]] = Counter()
        self._pairs: set[tuple[tuple[str, str], tuple[str, str]]] = set()
        self._arms: Counter[tuple[str, str]] = Counter()

    def count(self, case: Case, result: CaseResult) -> None:
        """Add a Case that was run."""
        found = sorted(classes_of(case).items())
        self._classes.update(found)
        self._pairs.update(combinations(found, 2))
        self._arms.update((verdict.path, ALTERNATIVE.join(verdict.arms)) for verdict in result.verdicts if verdict.arms)

    def coverage(self, device: str = "cuda", *, giant: bool = True) -> Coverage:
        """The counts as they are reported, of what can be asked of `device`, "cpu" or "cuda", by a run with giants or without."""
        unreachable = reasons(device, giant=giant)
        possible = [pair for pair in pairs() if unreachable.keys().isdisjoint(map(_text, pair))]
        missing: dict[str, list[str]] = {}
        for one, other in possible:
            if (one, other) not in self._pairs:
                missing.setdefault(_text(one), []).append(_text(other))
        return Coverage(
            values={name: {each: self._classes[name, each] for each in classes} for name, classes in CLASSES.items()},
            pairs=len(possible),
            missing=missing,
            arms=nested(self._arms),
            unreachable=unreachable,
        )


def _text(named: tuple[str, str]) -> str:
    name, value = named
    return f"{name}={value}"


def nested(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Counts of pairs, by the first of the two and then by the second."""
    nested: dict[str, dict[str, int]] = {}
    for (outer, inner), count in sorted(counts.items()):
        nested.setdefault(outer, {})[inner] = count
    return nested
