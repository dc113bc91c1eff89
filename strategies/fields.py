"""Fields of a Case by dotted name: read, replace, and the simpler values that reduction may try.

This is what makes a Case reducible without knowing what its fields mean.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from strategies.case import BLOCKSIZES, Case, Fill, FloatDType, Layout, PackedView, QuantType, StorageDType

CHOICES: Final[dict[str, tuple[Any, ...]]] = {
    "execution.grad": (False, True),
    "bias": (False, True),
    "quantization.compress_statistics": (False, True),
    "quantization.storage": tuple(StorageDType),
    "packed": tuple(PackedView),
    "activation.dtype": (None, *FloatDType),
    "weight.dtype": tuple(FloatDType),
    "quantization.quant_type": tuple(QuantType),
    "weight.fill": tuple(Fill),
    "activation.fill": tuple(Fill),
    "weight.layout": tuple(Layout),
    "quantization.blocksize": BLOCKSIZES,
}
"""Every field that is a choice, its neutral value first. Reduction tries them in this order."""

DIMENSIONS: Final = ("weight.out_features", "weight.in_features")


def get(case: Case, name: str) -> Any:
    """The value of the field `name`, such as "weight.layout"."""
    value: Any = case
    for part in name.split("."):
        value = getattr(value, part)
    return value


def replace(case: Case, name: str, value: Any) -> Case:
    """A copy of `case` with one field changed.

    Raises:
        CaseError: the result would be no Case.
    """
    part, _, leaf = name.partition(".")
    if not leaf:
        return dataclasses.replace(case, **{part: value})
    return dataclasses.replace(case, **{part: dataclasses.replace(getattr(case, part), **{leaf: value})})


def neutral(name: str) -> Any:
    """The neutral value of a choice field."""
    return CHOICES[name][0]


def non_neutral(case: Case) -> dict[str, Any]:
    """The choice fields of `case` that are not neutral, by name; for a minimal Case these are its triggers."""
    return {name: get(case, name) for name in CHOICES if get(case, name) != neutral(name)}


def json_value(value: Any) -> Any:
    """A field's value as it stands in a Case's JSON."""
    return value.value if hasattr(value, "value") else value
