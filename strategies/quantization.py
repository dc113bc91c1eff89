"""Arguments of `quantize_4bit` and what is done with the packed weight."""

from __future__ import annotations

import functools
from typing import Final

from hypothesis import strategies as st

from strategies.case import BLOCKSIZES, PackedView, Quantization, QuantType, StorageDType

_SMALL_MOSTLY: Final = (*(3 * BLOCKSIZES[:3]), *BLOCKSIZES)


@functools.cache
def quantizations() -> st.SearchStrategy[Quantization]:
    """Every combination of quant type, blocksize, statistics and storage dtype."""
    return st.builds(
        Quantization,
        quant_type=st.sampled_from(QuantType),
        # The small blocksizes are the common ones and leave room for several blocks a row.
        blocksize=st.sampled_from(_SMALL_MOSTLY),
        compress_statistics=st.booleans(),
        storage=st.sampled_from(StorageDType),
    )


@functools.cache
def packed_views() -> st.SearchStrategy[PackedView]:
    """The packed weight as returned or as its transposed view."""
    return st.sampled_from(PackedView)
