"""What may be wrong with a call on purpose. `fuzz.engine.misuses` does it."""

from __future__ import annotations

import enum
from typing import Final


class Misuse(enum.Enum):
    """One thing at a time."""

    NONE = "none"
    SHORT_ACTIVATION = "short_activation"  # one feature less than the weight has
    LONG_ACTIVATION = "long_activation"  # one more
    INTEGER_ACTIVATION = "integer_activation"  # of dtype int32
    DOUBLE_ACTIVATION = "double_activation"  # of dtype float64
    CPU_ACTIVATION = "cpu_activation"  # in the memory of the CPU, while everything else is on the GPU
    SHORT_BIAS = "short_bias"  # one output less
    LONG_BIAS = "long_bias"  # one more
    OTHER_BIAS = "other_bias"  # of another floating dtype than the activation
    SHORT_PACKED = "short_packed"  # the first half of the packed weight
    SHORT_ABSMAX = "short_absmax"  # without the scale of the last block
    HALF_ABSMAX = "half_absmax"  # scales of dtype float16
    FOREIGN_STATE = "foreign_state"  # of a weight with twice as many outputs
    SHORT_OUT = "short_out"  # an `out` whose last dimension is one smaller than the result's
    LONG_OUT = "long_out"  # one larger
    DEEP_OUT = "deep_out"  # with one dimension more, of two, in front
    OTHER_OUT = "other_out"  # of another dtype than the result
    META_OUT = "meta_out"  # on the device "meta", where nothing is stored
    CPU_OUT = "cpu_out"  # in the memory of the CPU, while everything else is on the GPU
    EXPANDED_OUT = "expanded_out"  # of which all elements are the same one
    SHARED_OUT = "shared_out"  # in the memory of the activation


OF_OUT: Final = frozenset(misuse for misuse in Misuse if misuse.value.endswith("_out"))
"""What is wrong with the tensor that a result is written to."""

WRONG_OUTS: Final = OF_OUT - {Misuse.SHARED_OUT}
"""What cannot hold the result at all. Memory that is also read can, if the result is ready before it is written."""

ALIKE: Final = (
    # The first is possible wherever one of the others is, so that a defect has its name whatever was drawn.
    (Misuse.LONG_ACTIVATION, Misuse.SHORT_ACTIVATION),
    (Misuse.LONG_BIAS, Misuse.SHORT_BIAS),
    (Misuse.SHORT_PACKED, Misuse.FOREIGN_STATE),
    (
        *(Misuse.DEEP_OUT, Misuse.OTHER_OUT, Misuse.META_OUT, Misuse.CPU_OUT),
        *(Misuse.SHORT_OUT, Misuse.LONG_OUT),  # broadcasting takes them only where the result has one column
    ),
)
"""Wrong calls that one missing check lets through, of a length, of a packed weight against its state, of an `out`: if several
of them fail alike in one function, that is one defect. Memory of which all elements are one is another matter."""

OF_SHAPE_OR_DTYPE: Final = frozenset({Misuse.SHORT_OUT, Misuse.LONG_OUT, Misuse.DEEP_OUT, Misuse.OTHER_OUT})
"""What its shape or its dtype alone tells of, and not where it lies."""
