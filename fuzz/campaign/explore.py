"""Draws Cases with Hypothesis for as long as the caller wants more.

Hypothesis stops at the first failure and counts examples; a campaign records failures and watches the clock. So the
test function here never fails, and it ends the search with an exception that Hypothesis lets through.

By itself Hypothesis draws one example afresh and then up to five that repeat parts of it, to meet in unit tests what
rarely happens by accident. A campaign counts on what rarely happens: of 3,000 Cases, a corner that is 0.4 % of the space
was met between 4 and 24 times, and with another seed never. Hypothesis leaves the choice of examples to an alternative
backend entirely, so its own way to draw is registered as one, and every Case is drawn independently of the others.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as with_seed
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider
from hypothesis.strategies import SearchStrategy

Drawn = TypeVar("Drawn")
"""What a strategy draws."""

SLICE: Final = 5000
"""Cases drawn by one call of Hypothesis: its memory grows by about 1.3 kB a case, and a fresh seed starts afresh."""

# Documented under "Alternative backends", in spite of its address.
INDEPENDENT: Final = "bnb-fuzz-independent"
AVAILABLE_PROVIDERS[INDEPENDENT] = HypothesisProvider

# parent: under CI=true a profile is otherwise derandomized, and the nightly run would repeat itself.
_SETTINGS: Final = settings(
    parent=settings.get_profile("default"),
    backend=INDEPENDENT,
    max_examples=SLICE,
    database=None,
    derandomize=False,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class _Enough(KeyboardInterrupt):
    """Ends a search. Hypothesis treats any other exception as a failure to be shrunk."""


def explore(strategy: SearchStrategy[Drawn], seed: int, visit: Callable[[Drawn], bool]) -> None:
    """Call `visit` with one drawing after the other until it returns False.

    Args:
        strategy: what to draw from.
        seed: equal seeds draw the same in the same order, with the same Hypothesis and sources:
            it also draws constants that it reads in the modules that are loaded.
        visit: returns whether to go on.
    """
    seeds = random.Random(seed)  # noqa: S311 - not for secrets

    @_SETTINGS
    @given(strategy)
    def search(drawn: Drawn) -> None:
        if not visit(drawn):
            raise _Enough

    try:
        while True:
            with_seed(seeds.getrandbits(64))(search)()
    except _Enough:
        return
