"""How well reductions do: how many end at the simplest Case there is, and how many executions they take.

Conditions are conjunctions as defects of kernels have them. The simplest Case is found by trying all sizes in order,
with no help from the reducer: first every choice as dull as can be, then few out_features, few in_features, few rows.
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest

from fuzz.triage.reduce import Reduction, reduce_case
from strategies import fields
from strategies.case import Case, Fill, FloatDType, Layout
from tests.fuzz.triage.planted import drawn

FAULTS: Final = 400
SEED: Final = 1864

OUT, IN, ROWS = fields.SIZES
BLOCKSIZE: Final = "quantization.blocksize"
LAYOUT: Final = "weight.layout"
LARGEST: Final = {OUT: 128, IN: 4200, ROWS: 130}
"""Sizes up to which the simplest Case is looked for."""

MODULI: Final = (2, 3, 4, 8, 16, 32, 64, 100, 128)
BOUNDS: Final = (2, 3, 5, 9, 16, 17, 32, 33, 64, 65, 96, 100, 128, 129, 257, 513, 1000, 1024, 2049)

Number = Any
"""An integer, or an array of them: the conditions below hold for both."""


@dataclass(frozen=True)
class Point:
    """What conditions about sizes look at."""

    out: Number
    in_: Number
    rows: Number
    blocksize: int
    layout: Layout

    @property
    def stored(self) -> tuple[Number, Number]:
        return (self.out, self.in_) if self.layout is Layout.OUT_IN else (self.in_, self.out)


@dataclass(frozen=True)
class Fault:
    """A conjunction: for some choice fields the values with which it acts, and conditions about sizes."""

    values: dict[str, frozenset[Any]]
    about_sizes: tuple[tuple[str, Callable[[Point], Any]], ...]

    def acts(self, case: Case) -> bool:
        weight, blocksize = case.weight, case.quantization.blocksize
        point = Point(weight.out_features, weight.in_features, case.activation.rows, blocksize, weight.layout)
        return all(fields.get(case, name) in values for name, values in self.values.items()) and all(
            bool(holds(point)) for _, holds in self.about_sizes
        )

    def __str__(self) -> str:
        values = [f"{name} in {sorted(map(str, values))}" for name, values in self.values.items()]
        return " and ".join([*values, *(words for words, _ in self.about_sizes)])


def size_conditions(name: str, size: int) -> Iterator[tuple[str, Callable[[Point], Any]]]:
    """What may be said of one size, and is so of `size`."""
    of: Callable[[Point], Any] = {OUT: lambda at: at.out, IN: lambda at: at.in_, ROWS: lambda at: at.rows}[name]
    for bound in BOUNDS:
        if bound <= min(size, LARGEST[name]):
            yield f"{name} >= {bound}", lambda at, bound=bound: of(at) >= bound  # type: ignore[misc]
        if size <= bound:
            yield f"{name} <= {bound}", lambda at, bound=bound: of(at) <= bound  # type: ignore[misc]
    for modulus in MODULI:
        if size % modulus == 0 and modulus <= LARGEST[name]:
            yield f"{name} % {modulus} == 0", lambda at, modulus=modulus: of(at) % modulus == 0  # type: ignore[misc]
        if size % modulus:
            yield f"{name} % {modulus} != 0", lambda at, modulus=modulus: of(at) % modulus != 0  # type: ignore[misc]


RELATIONS: Final[tuple[tuple[str, Callable[[Point], Any]], ...]] = (
    ("in_features % blocksize != 0", lambda at: at.in_ % at.blocksize != 0),
    ("in_features % blocksize == 0", lambda at: at.in_ % at.blocksize == 0),
    ("in_features > blocksize", lambda at: at.in_ > at.blocksize),
    ("in_features > 2 * blocksize", lambda at: at.in_ > 2 * at.blocksize),
    ("elements > blocksize", lambda at: at.out * at.in_ > at.blocksize),
    ("elements % blocksize != 0", lambda at: (at.out * at.in_) % at.blocksize != 0),
    ("stored row % blocksize != 0", lambda at: at.stored[1] % at.blocksize != 0),
    ("stored rows % 32 != 0", lambda at: at.stored[0] % 32 != 0),
    ("stored rows < stored columns", lambda at: at.stored[0] < at.stored[1]),
    ("out_features < in_features", lambda at: at.out < at.in_),
    ("out_features > in_features", lambda at: at.out > at.in_),
    ("out_features != in_features", lambda at: at.out != at.in_),
    ("elements % 2 == 1", lambda at: (at.out * at.in_) % 2 == 1),
    *((f"elements >= {least}", lambda at, least=least: at.out * at.in_ >= least) for least in (100, 1000, 4000)),
    *((f"rows * in_features >= {least}", lambda at, least=least: at.rows * at.in_ >= least) for least in (100, 129)),
    *((f"rows * out_features >= {least}", lambda at, least=least: at.rows * at.out >= least) for least in (33, 129)),
)

CHOSEN: Final = tuple(name for name in fields.CHOICES if name not in {"activation.rank", "execution.relation"})


def fault_of(case: Case, numbers: random.Random, wanted: tuple[str, Callable[[Point], Any]]) -> Fault:
    """A random conjunction that acts on `case`: up to two choices, up to two sizes, up to one relation of sizes, best `wanted`."""
    values = {name: _values(case, name, numbers) for name in numbers.sample(CHOSEN, numbers.choice((0, 1, 1, 2)))}
    sized = numbers.sample(fields.SIZES, numbers.choice((0, 1, 1, 2)))
    about = [numbers.choice(list(size_conditions(name, fields.get(case, name)))) for name in sized]
    fitting = [relation for relation in RELATIONS if Fault({}, (relation,)).acts(case)]
    about += [wanted] if wanted in fitting else numbers.sample(fitting, min(len(fitting), numbers.choice((0, 1))))
    return Fault(values, tuple(about))


def _values(case: Case, name: str, numbers: random.Random) -> frozenset[Any]:
    """The Case's value alone, or with some others: from there on, all but the dullest, or any."""
    choices, value = fields.CHOICES[name], fields.get(case, name)
    at = choices.index(value)
    sets = [{value}, set(choices[at:]), set(choices[1:]), {value, numbers.choice(choices)}]
    return frozenset(numbers.choice([chosen for chosen in sets if value in chosen]))


def simplest(fault: Fault) -> dict[str, Any] | None:
    """The fields of the simplest Case on which the fault acts; None if it is larger than what is looked at."""
    dullest = {name: min(values, key=fields.CHOICES[name].index) for name, values in fault.values.items()}
    blocksizes = _in_order(fault, BLOCKSIZE)
    for layout, blocksize in itertools.product(_in_order(fault, LAYOUT), blocksizes):
        sizes = _smallest_sizes(fault, layout, blocksize)
        if sizes is not None:
            neutral = {name: fields.neutral(name) for name in CHOSEN}
            return {**neutral, **dullest, LAYOUT: layout, BLOCKSIZE: blocksize, **sizes}
    return None


def _in_order(fault: Fault, name: str) -> list[Any]:
    return [value for value in fields.CHOICES[name] if value in fault.values.get(name, fields.CHOICES[name])]


def _smallest_sizes(fault: Fault, layout: Layout, blocksize: int) -> dict[str, int] | None:
    in_features, rows = np.arange(1, LARGEST[IN] + 1)[:, None], np.arange(1, LARGEST[ROWS] + 1)[None, :]
    for out in range(1, LARGEST[OUT] + 1):
        point = Point(np.int64(out), in_features, rows, blocksize, layout)
        acts: npt.NDArray[np.bool_] = np.ones((LARGEST[IN], LARGEST[ROWS]), dtype=bool)
        for _, holds in fault.about_sizes:
            acts &= holds(point)
        if acts.any():
            first = int(acts.argmax())  # the first in the order of rows within in_features
            return {OUT: out, IN: first // LARGEST[ROWS] + 1, ROWS: first % LARGEST[ROWS] + 1}
    return None


@dataclass(frozen=True)
class Reduced:
    """A fault with the Case it was seen with and what became of it."""

    fault: Fault
    start: Case
    reduction: Reduction
    simplest: dict[str, Any]

    @property
    def is_minimal(self) -> bool:
        case = self.reduction.case
        rank = 1 if case.activation.rows == 1 else 2
        alike = all(fields.get(case, name) == value for name, value in self.simplest.items())
        return alike and case.activation.rank == rank and case.seed == 0


@pytest.fixture(scope="module")
def reduced() -> list[Reduced]:
    """Random faults, each reduced."""
    numbers = random.Random(SEED)  # noqa: S311 - not for secrets
    cases = drawn(0, 300) + drawn(1, 300)
    found: list[Reduced] = []
    while len(found) < FAULTS:
        start = numbers.choice(cases)
        fault = fault_of(start, numbers, RELATIONS[len(found) % len(RELATIONS)])
        assert fault.acts(start)
        if (fault.values or fault.about_sizes) and (minimum := simplest(fault)) is not None:
            found.append(Reduced(fault, start, reduce_case(start, fault.acts), minimum))
    return found


def test_every_reduction_ends_at_a_case_that_fails(reduced: list[Reduced]) -> None:
    for item in reduced:
        assert item.fault.acts(item.reduction.case), item.fault


def test_hardly_any_reduction_has_to_be_taken_up_again(reduced: list[Reduced]) -> None:
    assert sum(item.reduction.finished for item in reduced) >= 0.98 * len(reduced)


def test_nine_of_ten_reductions_end_at_the_simplest_case(reduced: list[Reduced]) -> None:
    missed = [item for item in reduced if not item.is_minimal]
    words = "\n".join(f"{item.fault}: {item.reduction.case} instead of {item.simplest}" for item in missed)
    assert len(missed) <= 0.1 * len(reduced), words


def test_a_reduction_takes_few_executions(reduced: list[Reduced]) -> None:
    trials = [item.reduction.trials for item in reduced]
    assert statistics.median(trials) <= 200
    assert statistics.quantiles(trials, n=20)[-1] <= 200, "nor do nineteen of twenty take more"


def test_the_faults_are_as_various_as_they_should_be(reduced: list[Reduced]) -> None:
    assert len({str(item.fault) for item in reduced}) > 0.9 * FAULTS
    named = {name for item in reduced for name in item.fault.values}
    assert named == set(CHOSEN)
    words = {words for item in reduced for words, _ in item.fault.about_sizes}
    assert {words for words, _ in RELATIONS} <= words
    assert sum(len(item.fault.about_sizes) > 1 for item in reduced) > FAULTS // 4


def simplest_for(values: dict[str, frozenset[Any]], *words: str) -> dict[str, Any]:
    found = simplest(Fault(values, tuple(relation for relation in RELATIONS if relation[0] in words)))
    assert found is not None
    return {name: value for name, value in found.items() if name in fields.SIZES or value != fields.neutral(name)}


def test_what_is_simplest_is_known_for_some() -> None:
    """The search that judges is judged."""
    assert simplest_for({}) == {OUT: 1, IN: 1, ROWS: 1}
    assert simplest_for({}, "elements >= 1000") == {OUT: 1, IN: 1000, ROWS: 1}
    assert simplest_for({}, "rows * in_features >= 129") == {OUT: 1, IN: 1, ROWS: 129}
    assert simplest_for({}, "out_features > in_features") == {OUT: 2, IN: 1, ROWS: 1}
    assert simplest_for({}, "in_features % blocksize != 0", "in_features > blocksize") == {OUT: 1, IN: 65, ROWS: 1}
    large = {
        BLOCKSIZE: frozenset({512, 1024}),
        "weight.dtype": frozenset({FloatDType.BFLOAT16}),
        "weight.fill": frozenset(Fill) - {Fill.ONES},
    }
    assert simplest_for(large, "elements > blocksize") == {
        OUT: 1,
        IN: 513,
        ROWS: 1,
        BLOCKSIZE: 512,
        "weight.dtype": FloatDType.BFLOAT16,
        "weight.fill": Fill.ONE_HOT,
    }
    assert math.prod(LARGEST.values()) > 10**7
