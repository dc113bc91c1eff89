"""What a planted fault is: a step, the kernels it can be in, and what it does to inputs, arithmetic or result."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch

from fuzz.engine.calls import Prepared
from fuzz.oracle.arms import Arm
from strategies.case import Case

PRODUCT_ARMS: Final = (Arm.SIMT, Arm.GEMV, Arm.TENSOR_CORE, Arm.LINEAR)


class Step(enum.Enum):
    """Where a fault is planted."""

    QUANTIZE = "quantize"
    DEQUANTIZE = "dequantize"
    PRODUCT = "product"


Corrupt = Callable[[Prepared, torch.Generator], Prepared]
"""Returns what the faulty kernel is given instead; the judge sees the original. For QUANTIZE: what it returned."""

Kernel = Callable[[Arm, Prepared], torch.Tensor]
"""A kernel with other arithmetic, in place of the right one."""

Spoil = Callable[[torch.Tensor, Prepared, torch.Generator], torch.Tensor]
"""Returns what the faulty kernel makes of the right result."""


def _always(case: Case) -> bool:  # noqa: ARG001 - one signature
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One planted fault: exactly one of `corrupt`, `kernel` and `spoil` is given.

    Attributes:
        name: what a kernel author did wrong.
        arms: kernels it is planted in; DEQUANTIZE for the first two steps.
        applies: the Cases in which it can show at all.
    """

    name: str
    step: Step
    arms: tuple[Arm, ...] = (Arm.DEQUANTIZE,)
    corrupt: Corrupt | None = None
    kernel: Kernel | None = None
    spoil: Spoil | None = None
    applies: Callable[[Case], bool] = _always
