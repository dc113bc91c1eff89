"""A way to get a result of a Case, as data."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

import torch

from fuzz.engine.calls import Prepared
from fuzz.engine.library import Library
from fuzz.oracle.arms import Arm
from strategies.case import Case, FloatDType, Mode


class Yields(enum.Enum):
    """What a path's result is."""

    PRODUCT = "product"  # (*leading, out_features)
    WEIGHT = "weight"  # in the stored orientation, or in that of the packed weight's view
    PACKED = "packed weight"  # which another way to quantize made of the weight
    INPUT_GRADIENT = "input gradient"  # (*leading, in_features)
    BIAS_GRADIENT = "bias gradient"  # (out_features,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """One way to get a result.

    Attributes:
        applies: whether the Case can be expressed on this path at all.
        arms: kernels that may run; the bound is that of the weakest.
        stored: dtype to which the weight is rounded before it is rounded to the activation's.
        requires: a path whose failure explains this one's, so that this one is then not run.
        adds_bias: whether the path takes a bias; where it does not, the Case's bias plays no part.
        yields: what the result is.
        mode: the mode in which the path runs; None for every mode.
        writes: the shape of the tensor that the call is handed to write to; None where it is handed none.
        calls_layer: the call is one of a `Linear4bit` that can be made beforehand (`fuzz.engine.calls.with_layer`).
        quantizes: of what yields a packed weight, the same call, which returns the Case with that and its statistics.
    """

    name: str
    surface: str
    applies: Callable[[Case, Library], bool]
    run: Callable[[Prepared], torch.Tensor]
    arms: Callable[[Case, Library], tuple[Arm, ...]]
    stored: Callable[[Case, Library], FloatDType]
    requires: str | None = None
    adds_bias: bool = True
    yields: Yields = Yields.PRODUCT
    mode: Mode | None = None
    writes: Callable[[Case], tuple[int, ...]] | None = None
    calls_layer: bool = False
    quantizes: Callable[[Prepared], Prepared] | None = None

    @property
    def yields_weight(self) -> bool:
        """Whether the result is the weight."""
        return self.yields is Yields.WEIGHT

    def takes(self, case: Case, library: Library) -> bool:
        """Whether the path runs for a Case."""
        return self.mode in {None, case.execution.mode} and self.applies(case, library)
