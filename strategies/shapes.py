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

ROOMS: Final = (2**12, 2**14, 2**16, 2**18)
"""Most elements of a weight, one as often as the other. What a Case costs grows with them, and tails, blocks, tiles and
thresholds are met in small weights too, of which there is time for many more. `python -m fuzz selfcheck` counts the Cases that
faults take."""

_ROOMS: Final = st.sampled_from(ROOMS)

MAX_DRAWN_ELEMENTS: Final = ROOMS[-1]
"""Weights of a campaign stay below this, so that a case costs milliseconds; `strategies.wide` draws what larger arms need."""

FLAT_TERMS: Final = range(64, 256 + 1)
"""The in_features of flat weights: a tensor-core kernel takes 64 at once, and twice as many outputs of more make no small weight."""

_OUTPUTS: Final = (lambda terms: 2 * terms + 2, lambda terms: 3 * terms, lambda terms: 4 * terms, lambda terms: 2 * terms + 1)
"""The out_features of flat weights: a little more than twice as many, and clearly more; one in four is odd."""

_FLAT: Final = st.sampled_from([None] * 3 * len(_OUTPUTS) + [*_OUTPUTS])

LONGEST: Final = 4096
"""Largest in_features that is no multiple of the blocksize."""

_MANY: Final = 8
"""Blocks in a row that count as few."""


@functools.cache
def sizes(limit: int) -> st.SearchStrategy[int]:
    """A size from 1 to `limit`: small, a landmark, or one or two beside it, each of the three about as often."""
    small = range(1, min(SMALL, limit) + 1)
    marks = [mark for mark in LANDMARKS if mark <= limit]
    # One beside is odd, two beside is even and still no multiple of a warp: kernels that pack pairs tell them apart.
    beside = [size for mark in marks for size in (mark - 2, mark - 1, mark + 1, mark + 2) if size <= limit]
    longest = max(len(small), len(beside))
    return st.sampled_from([size for sort in (small, marks, beside) if sort for _ in range(-(-longest // len(sort))) for size in sort])


@functools.cache
def multiples(of: int, limit: int) -> st.SearchStrategy[int]:
    """A multiple of `of` up to `limit`, small multiples mostly."""
    largest = max(limit // of, 1)
    few = range(1, min(_MANY, largest) + 1)
    # One choice, as in `sizes`: of two ways to the same number Hypothesis shrinks towards the one with fewer choices.
    return st.sampled_from([*few] * -(-largest // _MANY) + [*range(1, largest + 1)]).map(lambda count: count * of)


@functools.cache
def _in_features(blocksize: int, room: int) -> st.SearchStrategy[int]:
    # Every second time a multiple of the blocksize: that is the condition of every fast path, not to be left to luck.
    return evenly(multiples(blocksize, min(2 * LONGEST, room)), sizes(min(LONGEST, room)))


@functools.cache
def weight_sizes(blocksize: int) -> st.SearchStrategy[tuple[int, int]]:
    """(out_features, in_features) of a weight that is quantized with `blocksize`.

    One in four whose rows are whole blocks is flat, if the blocksize allows it. Where in_features is less than half of
    out_features the rule of dispatch of 0.50 takes a fused kernel for hundreds of rows (`_gemm_4bit_use_custom_cuda` in
    backends/cuda/ops.py), so that tensor cores multiply by a small weight; on an H200 they take next to no other that is as
    small.
    """
    return _weight_sizes(blocksize)


@st.composite
def _weight_sizes(draw: st.DrawFn, blocksize: int) -> tuple[int, int]:
    room = draw(_ROOMS)
    in_features = draw(_in_features(blocksize, room))
    # Rounded down to a power of two, because a strategy that is built anew for each draw costs more than the draw. Two at
    # least: what can only be one is no choice, and Hypothesis shrinks towards fewer choices first.
    limit = max(2, 2 ** ((room // in_features).bit_length() - 1))
    out_features, outputs, terms = draw(sizes(limit)), draw(_FLAT), max(blocksize, FLAT_TERMS[0])
    if outputs is None or in_features % blocksize or terms not in FLAT_TERMS:
        return out_features, in_features
    return outputs(terms), terms
