"""Wide weights and many rows: the tiles that the tensor-core kernel of 0.50 takes only for large results.

Its tile grows with the number of tiles that a GPU's multiprocessors can take at once (`launch_gemm_4bit_sm80_m16n8k16` in
csrc/gemm_4bit_sm80.cu), which no weight of 262,144 elements and 130 rows reaches. The ranges here are those of a GPU with 132
multiprocessors, such as an H100 or H200, where five of the eleven tiles can be reached.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

from hypothesis import strategies as st

from strategies.case import Case, Layout

STEP: Final = 64
"""Terms are multiples of it: the tensor-core kernel takes no others."""

MOST_TERMS: Final = 256
"""Few terms keep a Case cheap, and the result is what is large."""

ONE_IN: Final = 128
"""One Case in so many is wide: one takes 0.2 to 1.1 s on two CPU cores, most of it for its references."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A range of rows and of outputs in which a tile is taken."""

    rows: tuple[int, int]
    outputs: tuple[int, int]


GRIDS: Final = (
    Grid(rows=(385, 512), outputs=(1537, 2048)),  # 32 x 256 x 128
    Grid(rows=(65, 96), outputs=(12545, 16384)),  # 128 x 64 x 64
    Grid(rows=(194, 320), outputs=(8321, 12000)),  # 128 x 128 x 64
)


def with_wide(cases: st.SearchStrategy[Case], one_in: int = ONE_IN) -> st.SearchStrategy[Case]:
    """The same Cases, one in `one_in` wide; what cannot be multiplied by tensor cores keeps its sizes."""
    whether = st.sampled_from([False] * (one_in - 1) + [True])
    return st.builds(_widened, cases, whether, st.sampled_from(GRIDS).flatmap(_sizes), st.integers(1, MOST_TERMS // STEP))


def _sizes(grid: Grid) -> st.SearchStrategy[tuple[int, int]]:
    """Rows and outputs, of those every second one even: an odd number of them loses the CUDA context of 0.50."""
    outputs = st.integers(*grid.outputs) | st.integers(grid.outputs[0] // 2 + 1, grid.outputs[1] // 2).map(lambda half: 2 * half)
    return st.tuples(st.integers(*grid.rows), outputs)


def _widened(case: Case, wide: bool, sizes: tuple[int, int], steps: int) -> Case:  # noqa: FBT001 - built from strategies
    terms = max(STEP * steps, case.quantization.blocksize)
    if not wide or case.is_empty or case.weight.layout is not Layout.OUT_IN or terms > MOST_TERMS:
        return case
    rows, outputs = sizes
    weight = dataclasses.replace(
        case.weight, out_features=outputs, in_features=terms // case.quantization.blocksize * case.quantization.blocksize
    )
    return dataclasses.replace(case, weight=weight, activation=dataclasses.replace(case.activation, leading=(rows,)))
