"""Fields of a Case by dotted name: read, replace, and the simpler values that reduction may try.

This is what makes a Case reducible, and a failure explainable, without knowing what its fields mean. Two names are not
attributes but what counts about them: "activation.dtype" is the dtype that the activation really has, whether it says so
or follows the weight, and "activation.rows" is the number of rows, however many dimensions they are spread over.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from typing import Any, Final

from strategies.case import (
    BLOCKSIZES,
    FLAT_MEMORIES,
    MAX_RANK,
    OUT_MEMORIES,
    STORED_MEMORIES,
    Case,
    CaseError,
    CudaStream,
    Fill,
    FloatDType,
    Layout,
    Memory,
    Mode,
    PackedView,
    QuantType,
    Relation,
    StorageDType,
)
from strategies.misuse import ALIKE, Misuse

CHOICES: Final[dict[str, tuple[Any, ...]]] = {
    "execution.grad": (False, True),
    "execution.default_dtype": tuple(FloatDType),
    "execution.stream": tuple(CudaStream),
    "execution.mode": tuple(Mode),
    "execution.relation": tuple(Relation),
    "execution.misuse": tuple(Misuse),
    "bias": (False, True),
    "quantization.compress_statistics": (False, True),
    "quantization.storage": tuple(StorageDType),
    "packed": tuple(PackedView),
    "memory.packed": STORED_MEMORIES,
    "memory.absmax": STORED_MEMORIES,
    "memory.bias": FLAT_MEMORIES,
    "memory.out": OUT_MEMORIES,
    "memory.weight": tuple(Memory),
    "memory.activation": tuple(Memory),
    "weight.layout": tuple(Layout),
    "weight.dtype": tuple(FloatDType),
    "activation.dtype": tuple(FloatDType),
    "activation.rank": tuple(range(1, MAX_RANK + 1)),
    "quantization.quant_type": tuple(QuantType),
    "quantization.blocksize": BLOCKSIZES,
    "activation.fill": tuple(Fill),
    "weight.fill": tuple(Fill),
}
"""Every field that is a choice, its neutral value first. Reduction tries them in this order: fills come last, so that
a layout or a dtype is not kept because a duller fill needs it."""

QUESTIONS: Final = ("execution.mode", "execution.relation", "execution.misuse")
"""Fields that say what is asked and not of what: another value is another question, and a failure there another failure."""

FILLS: Final = ("activation.fill", "weight.fill")
DIMENSIONS: Final = ("weight.out_features", "weight.in_features")
ROWS: Final = "activation.rows"
SIZES: Final = (*DIMENSIONS, ROWS)
"""Every field that is a size; they are not neutralised but made small."""


def get(case: Case, name: str) -> Any:
    """The value of the field `name`, such as "weight.layout"."""
    if name == "activation.dtype":
        return case.activation_dtype
    value: Any = case
    for part in name.split("."):
        value = getattr(value, part)
    return value


def replace(case: Case, name: str, value: Any) -> Case:
    """A copy of `case` with one field changed, and with it nothing else that `get` tells of.

    Raises:
        CaseError: the result would be no Case, such as one of several rows and rank 1.
    """
    return _REPLACE.get(name, _replace_attribute)(case, name, value)


def _replace_attribute(case: Case, name: str, value: Any) -> Case:
    part, _, leaf = name.partition(".")
    if not leaf:
        return dataclasses.replace(case, **{part: value})
    return dataclasses.replace(case, **{part: dataclasses.replace(getattr(case, part), **{leaf: value})})


def _replace_weight_dtype(case: Case, name: str, value: Any) -> Case:
    return _with_activation_dtype(_replace_attribute(case, name, value), case.activation_dtype)


def _replace_activation_dtype(case: Case, name: str, value: Any) -> Case:  # noqa: ARG001 - one signature for all
    return _with_activation_dtype(case, value)


def _with_activation_dtype(case: Case, dtype: FloatDType) -> Case:
    return _replace_attribute(case, "activation.dtype", None if dtype is case.weight.dtype else dtype)


def _replace_rows(case: Case, name: str, value: Any) -> Case:  # noqa: ARG001
    return _with_leading(case, max(case.activation.rank, 1 if value == 1 else 2), value)


def _replace_rank(case: Case, name: str, value: Any) -> Case:  # noqa: ARG001
    return _with_leading(case, value, case.activation.rows)


def _with_leading(case: Case, rank: int, rows: int) -> Case:
    if rank == 1 and rows != 1:
        raise CaseError(f"an activation of rank 1 has no {rows} rows")
    leading = (*(1,) * (rank - 2), rows) if rank > 1 else ()
    return _replace_attribute(case, "activation.leading", leading)


_REPLACE: Final[dict[str, Callable[[Case, str, Any], Case]]] = {
    "weight.dtype": _replace_weight_dtype,
    "activation.dtype": _replace_activation_dtype,
    "activation.rank": _replace_rank,
    ROWS: _replace_rows,
}


def neutral(name: str) -> Any:
    """The neutral value of a choice field."""
    return CHOICES[name][0]


def duller(name: str, value: Any) -> tuple[Any, ...]:
    """The values of a choice field that are duller than `value`, the dullest first.

    One way to make a wrong call is no duller than another, unless one missing check lets both through.
    """
    if name == "execution.misuse" and value is not neutral(name):
        family = alike(name, value)
        return (neutral(name), *family[: family.index(value)])
    choices = CHOICES[name]
    return choices[: choices.index(value)]


def alike(name: str, value: Any) -> tuple[Any, ...]:
    """The values of a choice field that may be the same defect as `value`, itself included, in the order of preference.

    Of `QUESTIONS` that is `value` alone, but for wrong calls that one missing check lets through.
    """
    if name not in QUESTIONS:
        return CHOICES[name][1:]
    return next((family for family in ALIKE if value in family), (value,)) if name == "execution.misuse" else (value,)


def canonical(case: Case) -> Case:
    """The same input written in one way: an activation dtype that is the weight's is not named."""
    return replace(case, "activation.dtype", case.activation_dtype)


def triggers(case: Case) -> dict[str, Any]:
    """The choice fields of `case` that are not neutral, as in its JSON; all necessary if the Case is minimal.

    Several rows, or none, need a second dimension, which is then no trigger.
    """
    names = [name for name in CHOICES if get(case, name) != neutral(name)]
    if case.activation.rows != 1 and case.activation.rank == 2:  # noqa: PLR2004
        names.remove("activation.rank")
    return {name: json_value(get(case, name)) for name in names}


def json_value(value: Any) -> Any:
    """A field's value as the JSON of a Case has it."""
    return value.value if isinstance(value, enum.Enum) else value


def parse_value(name: str, value: Any) -> Any:
    """The value of a choice field that `json_value` wrote.

    Raises:
        CaseError: no such choice field, or no such value of it.
    """
    if name not in CHOICES:
        raise CaseError(f"{name!r} is not a field with choices; they are {', '.join(CHOICES)}")
    found = [choice for choice in CHOICES[name] if type(json_value(choice)) is type(value) and json_value(choice) == value]
    if not found:
        raise CaseError(f"{name} is {value!r}, not one of {', '.join(str(json_value(choice)) for choice in CHOICES[name])}")
    return found[0]
