"""Classes of Cases: every value of every choice, and for sizes the sorts of numbers that kernels treat apart.

Coverage is counted in these. Two classes that no Case can have together are named here too, with the reason, so that a
pair that was never drawn is either here or a hole in the strategies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from types import MappingProxyType
from typing import Final

from strategies import fields
from strategies.case import Case, FloatDType, Layout, Memory, Misuse, Mode, Relation

_SMALL: Final = 64
"""Sizes below the smallest tile of the tensor-core kernels, which only the tails of their loops see."""

_WARP: Final = 32

SIZE_CLASSES: Final = ("0", "1", "odd, < 64", "even, < 64", "odd, >= 64", "even, >= 64", "% 32 == 0, >= 64")
ROW_CLASSES: Final = ("0", "1", "2 to 4", "5 to 16", "17 to 64", "65 and more")
"""Rows on both sides of where 0.50 goes from one kernel to the next (`_gemm_4bit_use_custom_fn` and csrc/gemm_4bit.cu)."""

_ROW_LIMITS: Final = (0, 1, 4, 16, 64)

CLASSES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {name: tuple(str(fields.json_value(value)) for value in values) for name, values in fields.CHOICES.items()}
    | dict.fromkeys(fields.DIMENSIONS, SIZE_CLASSES)
    | {fields.ROWS: ROW_CLASSES}
)
"""Every class by the name of its field."""


def classes_of(case: Case) -> dict[str, str]:
    """The class of `case` in each field."""
    found = {name: str(fields.json_value(fields.get(case, name))) for name in fields.CHOICES}
    found |= {name: size_class(fields.get(case, name)) for name in fields.DIMENSIONS}
    return found | {fields.ROWS: row_class(case.activation.rows)}


def size_class(size: int) -> str:
    """The class of a number of features."""
    if size <= 1:
        return SIZE_CLASSES[size]
    if size < _SMALL:
        return SIZE_CLASSES[2 if size % 2 else 3]
    if size % _WARP == 0:
        return SIZE_CLASSES[6]
    return SIZE_CLASSES[4 if size % 2 else 5]


def row_class(rows: int) -> str:
    """The class of a number of rows."""
    return ROW_CLASSES[sum(rows > limit for limit in _ROW_LIMITS)]


def _one_row_only(rank: str, rows: str) -> bool:
    return rank == "1" and rows != ROW_CLASSES[1]


def _related(relation: str) -> bool:
    return relation != str(Relation.NONE.value)


def _related_and_more(mode: str, relation: str) -> bool:
    return _related(relation) and mode != str(Mode.CALL.value)


def _related_and_moved(relation: str, memory: str) -> bool:
    return _related(relation) and memory != str(Memory.CONTIGUOUS.value)


def _not_default_and_related(dtype: str, relation: str) -> bool:
    return _related(relation) and dtype != str(FloatDType.FLOAT32.value)


def _misused(misuse: str) -> bool:
    return misuse != str(Misuse.NONE.value)


def _misused_and_not(neutral: object) -> Callable[[str, str], bool]:
    return lambda misuse, other: _misused(misuse) and other != str(neutral)


def _not_default_and_misused(dtype: str, misuse: str) -> bool:
    return _misused(misuse) and dtype != str(FloatDType.FLOAT32.value)


_MEMORIES: Final = tuple(name for name in fields.CHOICES if name.startswith("memory."))

_DULL_BESIDE_ZERO: Final = (*fields.QUESTIONS, *_MEMORIES)


def _in_order(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)


def _zero_and_more(size: str, name: str) -> Callable[[str, str], bool]:
    neutral = str(fields.json_value(fields.neutral(name)))

    def excluded(first: str, second: str) -> bool:
        by_name = dict(zip(_in_order(size, name), (first, second), strict=True))
        return by_name[size] == SIZE_CLASSES[0] and by_name[name] != neutral

    return excluded


def _two_zeros(first: str, second: str) -> bool:
    return first == second == SIZE_CLASSES[0]


EXCLUDED: Final[Mapping[tuple[str, str], Callable[[str, str], bool]]] = MappingProxyType(
    {
        ("activation.rank", fields.ROWS): _one_row_only,  # an activation of rank 1 is one row
        # No path is sure to take the other layout, so that there would be no second result to compare with.
        ("execution.relation", "weight.layout"): lambda relation, layout: _related(relation) and layout != str(Layout.OUT_IN.value),
        ("execution.grad", "execution.relation"): lambda grad, relation: _related(relation) and grad != str(False),
        ("execution.mode", "execution.relation"): _related_and_more,
        **{("execution.relation", name): _related_and_moved for name in _MEMORIES},
        # Another default dtype changes what is stored, which is another failure than that of the relation.
        ("execution.default_dtype", "execution.relation"): _not_default_and_related,
        # A size of zero is drawn with plain calls only.
        **{_in_order(size, name): _zero_and_more(size, name) for size in fields.SIZES for name in _DULL_BESIDE_ZERO},
        **dict.fromkeys(combinations(sorted(fields.SIZES), 2), _two_zeros),
        # One thing is wrong at a time.
        ("execution.default_dtype", "execution.misuse"): _not_default_and_misused,
        ("execution.misuse", "execution.mode"): _misused_and_not(Mode.CALL.value),
        ("execution.misuse", "execution.relation"): _misused_and_not(Relation.NONE.value),
        ("execution.misuse", "weight.layout"): _misused_and_not(Layout.OUT_IN.value),
        ("execution.grad", "execution.misuse"): lambda grad, misuse: _misused(misuse) and grad != str(False),
        **{("execution.misuse", name): _misused_and_not(Memory.CONTIGUOUS.value) for name in _MEMORIES},
    }
)
"""Pairs of classes that `strategies.cases` never draws, by the names of the two fields in alphabetical order."""


def pairs() -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """Every pair of classes that can occur together: ((field, class), (field, class)), fields in alphabetical order."""
    for one, other in combinations(sorted(CLASSES), 2):
        excluded = EXCLUDED.get((one, other))
        for first in CLASSES[one]:
            for second in CLASSES[other]:
                if excluded is None or not excluded(first, second):
                    yield (one, first), (other, second)
