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
from strategies.case import Case, Mode
from strategies.misuse import OF_OUT, OF_SHAPE_OR_DTYPE

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


_OF_OUT: Final = frozenset(misuse.value for misuse in OF_OUT)
_OF_SHAPE_OR_DTYPE: Final = frozenset(misuse.value for misuse in OF_SHAPE_OR_DTYPE)
_MEMORIES: Final = tuple(name for name in fields.CHOICES if name.startswith("memory."))

_NEVER_TOGETHER: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        # No path is sure to take the other layout, so that there would be no second result to compare with. Another default
        # dtype changes what is stored, which is another failure than that of the relation.
        "execution.relation": ("weight.layout", "execution.grad", "execution.mode", "execution.default_dtype", *_MEMORIES),
        # One thing is wrong at a time.
        "execution.misuse": (
            *("weight.layout", "execution.grad", "execution.relation", "execution.default_dtype"),
            *_MEMORIES,
        ),
        # Plain calls only: most modes synchronize, or have a stream of their own.
        "execution.stream": fields.QUESTIONS,
        # A size of zero is drawn with plain calls only.
        **{size: (*fields.QUESTIONS, *_MEMORIES, *(other for other in fields.SIZES if other != size)) for size in fields.SIZES},
    }
)
"""Fields of which one is dull where the other is not. A size is dull unless it is zero."""


def _dull(name: str, value: str) -> bool:
    return value != SIZE_CLASSES[0] if name in fields.SIZES else value == CLASSES[name][0]


def _neither_dull(one: str, other: str) -> Callable[[str, str], bool]:
    return lambda first, second: not (_dull(one, first) or _dull(other, second))


def _other_mode(misuse: str, mode: str) -> bool:
    """What is wrong with an `out` is asked for where there is one, and nothing else that is wrong."""
    if misuse == CLASSES["execution.misuse"][0]:
        return False
    allowed = {(Mode.OUT if misuse in _OF_OUT else Mode.CALL).value}
    return mode not in (allowed | {Mode.TRITON.value} if misuse in _OF_SHAPE_OR_DTYPE else allowed)


EXCLUDED: Final[Mapping[tuple[str, str], Callable[[str, str], bool]]] = MappingProxyType(
    {
        ("activation.rank", fields.ROWS): _one_row_only,  # an activation of rank 1 is one row
        ("execution.misuse", "execution.mode"): _other_mode,
        ("execution.mode", "memory.out"): lambda mode, memory: mode != Mode.OUT.value and not _dull("memory.out", memory),
        **{
            (first, second): _neither_dull(first, second)
            for name, others in _NEVER_TOGETHER.items()
            for first, second in (sorted((name, other)) for other in others)
        },
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
