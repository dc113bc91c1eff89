"""How the tensors of a Case lie in memory: half of the Cases have them all as they come."""

from __future__ import annotations

import functools

from hypothesis import strategies as st

from strategies.case import FLAT_MEMORIES, STORED_MEMORIES, Layouts, Memory


def _mostly_contiguous(memories: tuple[Memory, ...]) -> st.SearchStrategy[Memory]:
    # A layout that some path cannot take hides what else is in the Case: few tensors of a Case have one.
    return st.sampled_from([Memory.CONTIGUOUS] * len(memories) + list(memories))


@functools.cache
def layouts() -> st.SearchStrategy[Layouts]:
    """Memory layouts of all tensors of a Case."""
    drawn = st.builds(
        Layouts,
        weight=_mostly_contiguous(tuple(Memory)),
        packed=_mostly_contiguous(STORED_MEMORIES),
        absmax=_mostly_contiguous(STORED_MEMORIES),
        activation=st.sampled_from(Memory),
        bias=_mostly_contiguous(FLAT_MEMORIES),
    )
    return st.one_of(st.just(Layouts()), drawn)
