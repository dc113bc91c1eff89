"""The coefficients of an a-priori bound, as plain data: crosses the pipe and goes into scripts, so it imports no torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorModel:
    """A bound on the error of one output, linear in what the reference computes beside it.

    For an output `y = sum(x * w) + bias` with `w = c * s` (code times scale):

        E = product * sum|x||w| + code * sum|x||c| + activation * sum|x| + bias * |bias| + constant

    before the output is rounded. `bias` is for sums that begin with the bias instead of ending with it. `late_rounding`
    and `late_underflow` are for roundings of the finished sum other than the last one (a bias added to a rounded
    product): they add `late_rounding * (|y| + E) + late_underflow`.
    All are dimensionless except `code` (units of s), `activation` (units of w) and `constant` (units of y).
    """

    product: float = 0.0
    code: float = 0.0
    activation: float = 0.0
    bias: float = 0.0
    constant: float = 0.0
    late_rounding: float = 0.0
    late_underflow: float = 0.0

    def union(self, other: ErrorModel) -> ErrorModel:
        """The smallest model that is no tighter than either: for an arm that is not known."""
        pairs = ((getattr(self, item.name), getattr(other, item.name)) for item in dataclasses.fields(self))
        return ErrorModel(**dict(zip((item.name for item in dataclasses.fields(self)), map(max, pairs), strict=True)))
