"""Where results are judged: on the GPU that they come from, or on the CPU.

A tensor operation takes a GPU some ten microseconds however small it is, and the first of its kind in a process some
milliseconds more, because its kernel has to be loaded: of the first Case of a child on an H200, 0.41 of 0.55 s were the
oracle's. The numbers are the same on both: all that the oracle relies on is rounded by IEEE 754.
"""

from __future__ import annotations

from typing import Final

import torch

from fuzz.oracle.ordered import LANES, PER_LANE
from strategies.case import Case

CPU: Final = torch.device("cpu")

MOST_ELEMENTS: Final = 2**15
"""Elements of a weight that are judged on the CPU. Both limits come from counting operations, and were not measured."""

MOST_TERMS: Final = 2**19
"""Terms of all sums of a product that is judged on the CPU, where sums are emulated in groups of `GROUP`."""

GROUP: Final = LANES * PER_LANE
"""Terms to which a sum is filled up when a kernel's order is emulated."""


def desk_for(case: Case, device: torch.device) -> torch.device:
    """Where to judge what a Case gives on `device`.

    Args:
        case: its sizes are read.
        device: that of its tensors.
    """
    sums = case.activation.rows * case.weight.out_features
    terms = sums * -(-case.weight.in_features // GROUP) * GROUP
    return CPU if case.weight.elements <= MOST_ELEMENTS and terms <= MOST_TERMS else device
