"""Properties, and one search that draws for all of them in turn.

One after the other, the first would have had most of its failures when the last had not begun, and the run would wait
for confirmations at the end of each.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis.strategies import SearchStrategy

from strategies.case import Case
from strategies.evenly import evenly
from strategies.large import with_large
from strategies.reach import reaching
from strategies.wide import with_wide


@dataclass(frozen=True, slots=True)
class Property:
    """What is claimed of some Cases.

    Attributes:
        name: of its test.
        strategy: what to draw from.
        share: how many of a run's Cases are drawn for it, in proportion to the shares of the others.
        slow: whether its Cases cost so much that short runs leave it out.
        cuda: whether it says nothing about a CPU, so that it is left out there.
        giant: whether it is searched in the profile of its own, and nowhere else.
    """

    name: str
    strategy: SearchStrategy[Case]
    share: int = 1
    slow: bool = False
    cuda: bool = False
    giant: bool = False


@dataclass(frozen=True, slots=True)
class Drawn:
    """A Case and the name of the property that it was drawn for."""

    property: str
    case: Case


def resized(properties: Sequence[Property], *, wide: bool, large: bool) -> list[Property]:
    """The same properties, with some wide Cases, or some large ones, or both."""
    resizes = [resize for resize, wanted in ((with_wide, wide), (with_large, large)) if wanted]
    for resize in resizes:
        properties = [dataclasses.replace(one, strategy=resize(one.strategy)) for one in properties]
    return list(properties)


def reachable_on(device: str, properties: Sequence[Property]) -> list[Property]:
    """The properties that say something about "cpu" or "cuda", and of their Cases what does."""
    return [dataclasses.replace(one, strategy=reaching(one.strategy, device)) for one in properties if device == "cuda" or not one.cuda]


def mixed(properties: Sequence[Property]) -> SearchStrategy[Drawn]:
    """Cases of all properties, of each as often as its share says."""
    # Each is made once: what is made anew for each draw is also checked anew by Hypothesis, which costs more than the draw.
    drawn = [one.strategy.map(functools.partial(Drawn, one.name)) for one in properties]
    return evenly(*(strategy for one, strategy in zip(properties, drawn, strict=True) for _ in range(one.share)))
