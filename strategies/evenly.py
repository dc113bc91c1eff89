"""One of several strategies, each as often as the others."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import strategies as st

Drawn = TypeVar("Drawn")
"""What the strategies draw."""


def evenly(*choices: st.SearchStrategy[Drawn]) -> st.SearchStrategy[Drawn]:
    """Draw from one of `choices`, which shrinks towards the first.

    `one_of` takes a choice apart that is a `one_of` itself, also behind a `map`, and then draws from it as often as from
    as many others.
    """
    return st.sampled_from(range(len(choices))).flatmap(choices.__getitem__)
