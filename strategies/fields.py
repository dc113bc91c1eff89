"""Fields of a Case by dotted name: read, replace, and the simpler values that reduction may try.

This is what makes a Case reducible without knowing what its fields mean.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import Any, Final

from strategies.case import BLOCKSIZES, Case, Fill, FloatDType, Layout, PackedView, QuantType, Relation, StorageDType

CHOICES: Final[dict[str, tuple[Any, ...]]] = {
    "execution.grad": (False, True),
    "execution.relation": tuple(Relation),
    "bias": (False, True),
    "quantization.compress_statistics": (False, True),
    "quantization.storage": tuple(StorageDType),
    "packed": tuple(PackedView),
    "weight.layout": tuple(Layout),
    "activation.dtype": (None, *FloatDType),
    "weight.dtype": tuple(FloatDType),
    "quantization.quant_type": tuple(QuantType),
    "quantization.blocksize": BLOCKSIZES,
    "activation.fill": tuple(Fill),
    "weight.fill": tuple(Fill),
}
"""Every field that is a choice, its neutral value first. Reduction tries them in this order: fills come last, so that
a layout or a dtype is not kept because a duller fill needs it."""

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


def triggers(case: Case) -> dict[str, Any]:
    """The choice fields of `case` that are not neutral, as in its JSON; all necessary if the Case is minimal."""
    return {name: _json_value(get(case, name)) for name in CHOICES if get(case, name) != neutral(name)}


def _json_value(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value
