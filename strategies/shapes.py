"""Sizes of weights: small ones, and both sides of the sizes that kernels are built around."""

from __future__ import annotations

import functools
from typing import Final

from hypothesis import strategies as st

from strategies.evenly import evenly

LANDMARKS: Final = (32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096)
"""Warp, tile, chunk and block sizes of the kernels and what is built from them."""

SMALL: Final = 40
"""Sizes up to here are drawn one by one: tails, odd and prime sizes."""

MAX_DRAWN_ELEMENTS: Final = 2**18
"""Weights of a campaign stay below this, so that a case costs milliseconds; larger ones have no arm of their own."""


@functools.cache
def sizes(limit: int) -> st.SearchStrategy[int]:
    """A size from 1 to `limit`: small, a landmark, or one or two beside it."""
    choices = [st.integers(1, min(SMALL, limit))]
    marks = tuple(mark for mark in LANDMARKS if mark <= limit)
    if marks:
        # One beside is odd, two beside is even and still no multiple of a warp: kernels that pack pairs tell them apart.
        beside = tuple(size for mark in marks for size in (mark - 2, mark - 1, mark + 1, mark + 2) if size <= limit)
        choices += [st.sampled_from(marks), st.sampled_from(beside)]
    return st.one_of(choices)


@functools.cache
def multiples(of: int, limit: int) -> st.SearchStrategy[int]:
    """A multiple of `of` up to `limit`, small multiples mostly."""
    largest = max(limit // of, 1)
    return st.one_of(st.integers(1, min(8, largest)), st.integers(1, largest)).map(lambda count: count * of)


@functools.cache
def _in_features(blocksize: int) -> st.SearchStrategy[int]:
    # Every second time a multiple of the blocksize: that is the condition of every fast path, not to be left to luck.
    return evenly(multiples(blocksize, 8192), sizes(4096))


@st.composite
def weight_sizes(draw: st.DrawFn, blocksize: int) -> tuple[int, int]:
    """(out_features, in_features) of a weight that is quantized with `blocksize`."""
    in_features = draw(_in_features(blocksize))
    # Rounded down to a power of two, because a strategy that is built anew for each draw costs more than the draw.
    limit = 2 ** ((MAX_DRAWN_ELEMENTS // in_features).bit_length() - 1)
    return draw(sizes(limit)), in_features
