"""Activations: rank 1 to 3, one row to many, dtypes and fills."""

from __future__ import annotations

import functools
from typing import Final

from hypothesis import strategies as st

from strategies.case import Activation, Fill, FloatDType
from strategies.evenly import evenly

BATCHES: Final = (2, 3, 4, 5, 8, 16, 17, 32, 33, 64, 65)
"""Both sides of the row counts at which 0.50's dispatch changes kernels (`backends/cuda/ops.py`, `csrc/gemm_4bit.cu`)."""

MAX_DRAWN_ROWS: Final = 130


@functools.cache
def leading_shapes() -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes before the last dimension; one row in about a third of the draws, because that is where gemv lives."""
    batch = st.one_of(st.integers(1, 8), st.sampled_from(BATCHES), st.integers(1, MAX_DRAWN_ROWS))
    return evenly(
        st.sampled_from([(), (1,), (1, 1)]),
        batch.map(lambda rows: (rows,)),
        st.tuples(st.integers(1, 4), st.integers(1, MAX_DRAWN_ROWS // 4)),
    )


@functools.cache
def activations() -> st.SearchStrategy[Activation]:
    """Activations, their dtype mostly that of the weight."""
    return st.builds(
        Activation,
        leading=leading_shapes(),
        dtype=st.sampled_from([None] * len(FloatDType) + list(FloatDType)),
        fill=st.sampled_from(Fill),
    )
