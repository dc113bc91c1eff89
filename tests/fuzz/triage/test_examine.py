"""What a minimal Case needs, found by asking: with failures whose conditions are plain code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.engine.verdict import Outcome
from fuzz.triage.condition import Condition
from fuzz.triage.examine import REFILLED, Effort, by_chance, examine, other_view, refilled, size_rule
from fuzz.triage.reduce import reduce_case
from fuzz.triage.sizes import BLOCKSIZE, SizeRule, parse
from strategies import fields
from strategies.case import (
    BLOCKSIZES,
    MAX_DIMENSION,
    MAX_SEED,
    NON_FINITE,
    Activation,
    Case,
    Execution,
    Fill,
    FloatDType,
    Layout,
    Mode,
    PackedView,
    Quantization,
    QuantType,
    Relation,
    StorageDType,
    Weight,
)
from strategies.cases import cases

OUT, IN, ROWS = fields.SIZES
HALVES: Final = frozenset([FloatDType.FLOAT16, FloatDType.BFLOAT16])

Fails = Callable[[Case], bool]


@dataclass
class Asked:
    """Answers by a condition in plain code, and remembers what it was asked."""

    fails: Fails
    runs: Fails = lambda _: True
    masked: Fails = lambda _: False
    otherwise: Fails = lambda _: False
    cases: list[Case] = field(default_factory=list)

    def __call__(self, case: Case) -> Outcome:
        self.cases.append(case)
        if not self.runs(case):
            return Outcome.NOT_RUN
        if self.masked(case):
            return Outcome.MASKED
        if self.otherwise(case):
            return Outcome.OTHERWISE
        return Outcome.FAILS if self.fails(case) else Outcome.PASSES


def with_weight(**changes: Any) -> Case:
    return Case(weight=Weight(**changes))


def in_out(case: Case) -> bool:
    return case.weight.layout is Layout.IN_OUT


def values(**by_name: Any) -> dict[str, frozenset[Any]]:
    """Failing values, by names with two underscores for the dot."""
    return {name.replace("__", "."): frozenset(failing) for name, failing in by_name.items()}


NEEDS: dict[str, tuple[Fails, Case, dict[str, Any], dict[str, frozenset[Any]], dict[str, str]]] = {
    "anything": (lambda _: True, Case(), {}, {}, {}),
    "a layout": (in_out, with_weight(layout=Layout.IN_OUT), {"weight.layout": "in_out"}, values(weight__layout=[Layout.IN_OUT]), {}),
    "a flag": (lambda case: case.bias, Case(bias=True), {"bias": True}, values(bias=[True]), {}),
    "either half": (
        lambda case: case.weight.dtype in HALVES,
        Case(weight=Weight(dtype=FloatDType.FLOAT16), activation=Activation(dtype=FloatDType.FLOAT32)),
        {"weight.dtype": "float16"},
        values(weight__dtype=HALVES),
        {},
    ),
    "one half": (
        lambda case: case.activation_dtype is FloatDType.BFLOAT16,
        Case(activation=Activation(dtype=FloatDType.BFLOAT16)),
        {"activation.dtype": "bfloat16"},
        values(activation__dtype=[FloatDType.BFLOAT16]),
        {},
    ),
    "large blocks": (
        lambda case: case.quantization.blocksize >= 512,
        Case(quantization=Quantization(blocksize=512)),
        {"quantization.blocksize": 512},
        values(quantization__blocksize=[512, 1024, 2048, 4096]),
        {},
    ),
    "wide storage": (
        lambda case: case.quantization.storage.itemsize > 1,
        Case(quantization=Quantization(storage=StorageDType.FLOAT16)),
        {"quantization.storage": "float16"},
        values(quantization__storage=set(StorageDType) - {StorageDType.UINT8}),
        {},
    ),
    "numbers that are not all alike": (
        lambda case: case.weight.fill is not Fill.ONES,
        with_weight(fill=Fill.ONE_HOT),
        {"weight.fill": "one_hot"},
        values(weight__fill=set(Fill) - {Fill.ONES}),
        {},
    ),
    "rank 3": (
        lambda case: case.activation.rank == 3,
        Case(activation=Activation(leading=(1, 1))),
        {"activation.rank": 3},
        values(activation__rank=[3]),
        {},
    ),
    "odd outputs": (lambda case: case.weight.out_features % 2 == 1, Case(), {OUT: "odd"}, {}, {OUT: "% 2 != 0"}),
    "even outputs": (
        lambda case: case.weight.out_features % 2 == 0,
        with_weight(out_features=2),
        {OUT: "even"},
        {},
        {OUT: "% 2 == 0"},
    ),
    "33 rows": (
        lambda case: case.activation.rows >= 33,
        Case(activation=Activation(leading=(33,))),
        {ROWS: "large"},
        {},
        {ROWS: ">= 33"},
    ),
    "several rows": (
        lambda case: case.activation.rows > 1,
        Case(activation=Activation(leading=(2,))),
        {ROWS: "large"},
        {},
        {ROWS: ">= 2"},
    ),
    "a single row": (lambda case: case.activation.rows == 1, Case(), {ROWS: "small"}, {}, {ROWS: "== 1"}),
    "few rows": (lambda case: 2 <= case.activation.rows <= 8, Case(activation=Activation(leading=(2,))), {ROWS: "large+small"}, {}, {}),
    "no multiple of 64, whatever the blocksize": (
        lambda case: case.weight.in_features % 64 != 0,
        Case(),
        {IN: "unaligned"},
        {},
        {IN: "% 64 != 0"},
    ),
    "odd and beyond a size": (
        lambda case: case.weight.in_features % 2 == 1 and case.weight.in_features >= 37,
        with_weight(in_features=37),
        {IN: "odd+large"},
        {},
        {IN: "% 2 != 0, >= 37"},
    ),
    "multiples of 16 and not of 64": (
        lambda case: case.weight.in_features % 16 == 0 and case.weight.in_features % 64 != 0,
        with_weight(in_features=16),
        {IN: "unaligned+aligned"},
        {},
        {},
    ),
    "16 bits, odd outputs and 33 rows": (
        lambda case: case.activation_dtype in HALVES and case.weight.out_features % 2 == 1 and case.activation.rows >= 33,
        Case(activation=Activation(leading=(33,), dtype=FloatDType.FLOAT16)),
        {"activation.dtype": "float16", OUT: "odd", ROWS: "large"},
        values(activation__dtype=HALVES),
        {OUT: "% 2 != 0", ROWS: ">= 33"},
    ),
    "a relation": (
        lambda case: case.execution.relation in {Relation.SIGN, Relation.RERUN},
        Case(execution=Execution(relation=Relation.RERUN)),
        {"execution.relation": "rerun"},
        values(execution__relation=[Relation.RERUN]),  # another relation is another failure
        {},
    ),
    "grad with a transposed view": (
        lambda case: case.execution.grad and case.packed is PackedView.TRANSPOSED,
        Case(execution=Execution(grad=True), packed=PackedView.TRANSPOSED),
        {"execution.grad": True, "packed": "transposed"},
        values(execution__grad=[True], packed=[PackedView.TRANSPOSED]),
        {},
    ),
}
"""The failure, its minimal Case, the triggers, the values that fail, and the rules for sizes where they are certain."""


@pytest.mark.parametrize("name", NEEDS)
def test_the_minimal_case_is_the_one_that_is_found(name: str) -> None:
    fails, minimal, *_ = NEEDS[name]
    assert reduce_case(minimal, fails).case == minimal


@pytest.mark.parametrize("name", NEEDS)
def test_what_a_failure_needs(name: str) -> None:
    fails, minimal, triggers, choices, rules = NEEDS[name]
    examined = examine(minimal, Asked(fails))
    assert examined.triggers == triggers
    assert examined.condition.choices == choices
    assert set(examined.condition.sizes) == set(triggers) & set(fields.SIZES)
    assert {size: examined.condition.sizes[size].text for size in rules} == rules
    assert examined.condition.holds(minimal)


@pytest.mark.parametrize("name", NEEDS)
@pytest.mark.parametrize("effort", [Effort.LITTLE, Effort.LEAST])
def test_less_effort_finds_the_same_choices_and_no_other_sizes(name: str, effort: Effort) -> None:
    fails, minimal, triggers, choices, _ = NEEDS[name]
    examined = examine(minimal, Asked(fails), effort)
    assert examined.condition.choices == choices
    assert set(examined.triggers) <= set(triggers)
    assert examined.condition.holds(minimal)


@pytest.mark.parametrize("name", NEEDS)
def test_less_effort_asks_less(name: str) -> None:
    fails, minimal, *_ = NEEDS[name]
    counts = []
    for effort in (Effort.LEAST, Effort.LITTLE, Effort.FULL):
        asked = Asked(fails)
        examine(minimal, asked, effort)
        counts.append(len(asked.cases))
    assert counts[0] < counts[1] < counts[2] < 150
    assert counts[0] < 60, "each of these may cost the watchdog's time"


def needs(case: Case, asked: Asked) -> set[str]:
    return set(examine(case, asked).triggers)


def test_what_the_path_cannot_run_is_no_trigger() -> None:
    """That this path takes [in, out] weights only is not what its failure needs."""
    asked = Asked(lambda case: case.bias, runs=in_out)
    assert needs(Case(weight=Weight(layout=Layout.IN_OUT), bias=True), asked) == {"bias"}


def test_a_layout_that_goes_with_one_view_is_tried_with_the_other_view() -> None:
    """Some releases take a transposed view with each [in, out] weight, and no other with the [out, in] one."""
    case = Case(weight=Weight(layout=Layout.IN_OUT), packed=PackedView.TRANSPOSED)
    together = Asked(lambda _: True, runs=lambda case: in_out(case) == (case.packed is PackedView.TRANSPOSED))
    assert needs(case, together) == set(), "it fails either way"
    together.fails = in_out
    assert needs(case, together) == {"weight.layout"}


def test_a_view_that_the_path_cannot_run_is_no_trigger() -> None:
    asked = Asked(lambda _: True, runs=lambda case: case.packed is PackedView.TRANSPOSED)
    assert needs(Case(packed=PackedView.TRANSPOSED), asked) == set()


def test_a_trigger_is_one_also_where_the_neutral_value_is_hidden_by_another_failure() -> None:
    def out_in(case: Case) -> bool:
        return not in_out(case)

    for asked in (Asked(in_out, masked=out_in), Asked(in_out, otherwise=out_in)):
        assert needs(with_weight(layout=Layout.IN_OUT), asked) == {"weight.layout"}


def test_a_field_is_no_trigger_if_the_failure_is_there_in_the_other_view() -> None:
    asked = Asked(lambda _: True, runs=lambda case: in_out(case) or case.packed is PackedView.TRANSPOSED)
    assert needs(with_weight(layout=Layout.IN_OUT), asked) == set()


def test_values_of_which_nothing_can_be_said_count_as_failing() -> None:
    """They are made neutral when they are met, so that nothing unknown is counted as new."""
    asked = Asked(
        lambda case: case.quantization.blocksize == 128,
        runs=lambda case: case.quantization.blocksize != 256,
        masked=lambda case: case.quantization.blocksize == 512,
        otherwise=lambda case: case.quantization.blocksize == 1024,
    )
    condition = examine(Case(quantization=Quantization(blocksize=128)), asked).condition
    assert condition.choices == values(quantization__blocksize=[128, 256, 512, 1024])
    assert condition.otherwise == values(quantization__blocksize=[1024])
    others = {size: Case(quantization=Quantization(blocksize=size)) for size in (128, 512, 1024)}
    assert {size: condition.shows(other) for size, other in others.items()} == {128: True, 512: True, 1024: False}
    assert all(map(condition.holds, others.values()))


def test_sizes_of_which_nothing_can_be_said_are_left_out() -> None:
    asked = Asked(lambda case: case.weight.in_features >= 3, runs=lambda case: case.weight.in_features != 2)
    rule = size_rule(with_weight(in_features=3), IN, asked)
    assert rule == SizeRule(least=3)
    hidden = Asked(lambda case: case.weight.in_features >= 3, masked=lambda case: case.weight.in_features < 3)
    assert size_rule(with_weight(in_features=3), IN, hidden) is None


def test_where_no_size_passes_one_that_fails_otherwise_tells() -> None:
    """Beyond 64 the failure gives way to another; where it passes as well, that says nothing."""

    def large(case: Case) -> bool:
        return case.weight.in_features > 64

    assert size_rule(Case(), IN, Asked(lambda _: True, otherwise=large)) == SizeRule(most=64)
    odd = Asked(lambda case: case.weight.in_features % 2 == 1, otherwise=large)
    assert size_rule(Case(), IN, odd) == SizeRule(not_multiple_of=2)


def test_sizes_that_are_no_case_are_not_asked_about() -> None:
    asked = Asked(lambda case: case.weight.in_features == MAX_DIMENSION)
    rule = size_rule(with_weight(in_features=MAX_DIMENSION), IN, asked)
    assert rule is not None
    assert rule.holds(MAX_DIMENSION, 64)
    assert all(case.weight.in_features < MAX_DIMENSION for case in asked.cases)


@pytest.mark.parametrize("blocksize", BLOCKSIZES[:-1])
def test_a_modulus_that_follows_the_blocksize(blocksize: int) -> None:
    start = Case(weight=Weight(in_features=blocksize + 1), quantization=Quantization(blocksize=blocksize))
    asked = Asked(lambda case: case.weight.in_features % case.quantization.blocksize != 0)
    assert size_rule(start, IN, asked) == SizeRule(not_multiple_of=BLOCKSIZE)


@pytest.mark.parametrize("blocksize", BLOCKSIZES[:-1])
def test_a_bound_that_follows_the_blocksize(blocksize: int) -> None:
    start = Case(weight=Weight(in_features=blocksize + 1), quantization=Quantization(blocksize=blocksize))
    asked = Asked(lambda case: case.weight.in_features > case.quantization.blocksize)
    assert size_rule(start, IN, asked) == SizeRule(beyond_block=True)


@pytest.mark.parametrize("blocksize", [32, 64, 128])
def test_multiples_that_follow_the_blocksize(blocksize: int) -> None:
    start = Case(weight=Weight(in_features=blocksize), quantization=Quantization(blocksize=blocksize))
    asked = Asked(lambda case: case.weight.in_features % case.quantization.blocksize == 0)
    rule = size_rule(start, IN, asked)
    assert rule is not None
    for other in BLOCKSIZES:
        assert [size for size in range(other, 3 * other, 16) if rule.holds(size, other)] == [other, 2 * other], rule.text


@pytest.mark.parametrize("blocksize", [32, 64, 128, 1024])
def test_both_follow_the_blocksize(blocksize: int) -> None:
    def fails(case: Case) -> bool:
        return case.weight.in_features > case.quantization.blocksize and case.weight.in_features % case.quantization.blocksize != 0

    start = Case(weight=Weight(in_features=blocksize + 1), quantization=Quantization(blocksize=blocksize))
    assert size_rule(start, IN, Asked(fails)) == SizeRule(beyond_block=True, not_multiple_of=BLOCKSIZE)


@pytest.mark.parametrize(
    ("fails", "size", "rule"),
    [
        (lambda case: case.weight.in_features % 64 != 0, 1, SizeRule(not_multiple_of=64)),
        (lambda case: case.weight.in_features >= 65, 65, SizeRule(least=65)),
        (lambda case: case.weight.in_features % 2 != 0, 1, SizeRule(not_multiple_of=2)),
        (lambda case: case.weight.in_features % 128 != 0, 1, SizeRule(not_multiple_of=128)),
        (lambda case: case.weight.in_features >= 33, 33, SizeRule(least=33)),
    ],
)
def test_a_number_that_only_happens_to_be_the_blocksize_stays_a_number(fails: Fails, size: int, rule: SizeRule) -> None:
    assert size_rule(with_weight(in_features=size), IN, Asked(fails)) == rule


def test_rows_do_not_follow_the_blocksize() -> None:
    start = Case(activation=Activation(leading=(65,)))
    assert size_rule(start, ROWS, Asked(lambda case: case.activation.rows > 64)) == SizeRule(least=65)


def test_where_the_other_blocksize_cannot_run_the_numbers_stay() -> None:
    asked = Asked(lambda case: case.weight.in_features % 64 != 0, runs=lambda case: case.quantization.blocksize == 64)
    assert size_rule(Case(), IN, asked) == SizeRule(not_multiple_of=64)
    largest = Case(weight=Weight(in_features=4097), quantization=Quantization(blocksize=4096))
    assert size_rule(largest, IN, Asked(lambda case: case.weight.in_features > 4096)) == SizeRule(least=4097)


def test_sizes_are_judged_with_numbers_of_which_no_two_are_alike() -> None:
    """With a single hot element the failure shows only where that element lies in the tail."""

    def fails(case: Case) -> bool:
        if case.weight.fill is Fill.ONE_HOT:
            return case.weight.in_features == 3
        return case.weight.fill is not Fill.ONES and case.weight.in_features % 2 == 1

    examined = examine(with_weight(in_features=3, fill=Fill.ONE_HOT), Asked(fails))
    assert examined.triggers == {"weight.fill": "one_hot", IN: "odd"}


def test_a_size_fails_if_it_does_with_other_numbers() -> None:
    """Where the numbers of one seed happen to be right, those of the next are not."""

    def fails(case: Case) -> bool:
        return case.weight.in_features >= 3 and (case.weight.in_features < 100 or case.seed > 0)

    start = Case(weight=Weight(in_features=3, fill=Fill.NORMAL))
    assert size_rule(start, IN, Asked(fails)) == SizeRule(least=3)
    dull = Case(weight=Weight(in_features=3))
    rule = size_rule(dull, IN, Asked(fails))
    assert rule is not None
    assert not rule.holds(1024, 64), "numbers that are dull on purpose are not drawn again"


@pytest.mark.parametrize("fill", Fill)
def test_only_random_numbers_are_drawn_again(fill: Fill) -> None:
    expected = [] if fill in {Fill.ONES, Fill.ONE_HOT, Fill.ZEROS, *NON_FINITE} else [8, 9, 10]
    for case in (Case(weight=Weight(fill=fill), seed=7), Case(activation=Activation(fill=fill), seed=7)):
        again = list(refilled(case, 3))
        assert [other.seed for other in again] == expected
        assert all(fields.replace(other, "seed", 7) == case for other in again)


def test_the_last_seeds_have_no_others() -> None:
    last = Case(weight=Weight(fill=Fill.NORMAL), seed=MAX_SEED)
    assert list(refilled(last, 3)) == []
    assert [case.seed for case in refilled(fields.replace(last, "seed", MAX_SEED - 1), 3)] == [MAX_SEED]
    assert not by_chance(last, Asked(lambda _: False))


@pytest.mark.parametrize("failing", range(REFILLED + 1))
def test_a_failure_is_a_matter_of_chance_if_most_other_numbers_pass(failing: int) -> None:
    case = Case(weight=Weight(fill=Fill.NORMAL))
    assert by_chance(case, Asked(lambda other: other.seed <= failing)) is (2 * failing < REFILLED)
    assert not by_chance(Case(), Asked(lambda other: other.seed <= failing)), "there are no others"


def test_of_a_failure_by_chance_no_sizes_are_learned() -> None:
    """A sum that overflows needs large numbers, and many of them make it likelier: no size is what it needs."""

    def fails(case: Case) -> bool:
        return case.bias and case.weight.fill in {Fill.HUGE, Fill.NORMAL} and (case.seed * case.weight.in_features) % 7 == 0

    examined = examine(Case(weight=Weight(fill=Fill.HUGE, in_features=3), bias=True), Asked(fails))
    assert examined.triggers == {"bias": True, "weight.fill": "huge"}
    assert examined.condition == Condition(values(bias=[True], weight__fill=set(Fill) - {Fill.ONES}))


def test_a_rank_that_rows_need_is_no_trigger() -> None:
    asked = Asked(lambda case: case.activation.rows >= 5)
    assert needs(Case(activation=Activation(leading=(5,))), asked) == {ROWS}
    asked.fails = lambda case: case.activation.rank == 3 and case.activation.rows >= 5
    assert needs(Case(activation=Activation(leading=(1, 5))), asked) == {"activation.rank", ROWS}


def test_other_relations_are_not_asked_about() -> None:
    asked = Asked(lambda case: case.execution.relation is Relation.SIGN)
    examine(Case(execution=Execution(relation=Relation.SIGN)), asked)
    assert {case.execution.relation for case in asked.cases} <= {Relation.SIGN, Relation.NONE}


def test_every_question_is_a_change_of_few_fields() -> None:
    minimal = Case(weight=Weight(layout=Layout.IN_OUT), quantization=Quantization(quant_type=QuantType.FP4))
    asked = Asked(lambda case: in_out(case) and case.quantization.quant_type is QuantType.FP4)
    examine(minimal, asked)
    for case in asked.cases:
        changed = {name for name in (*fields.CHOICES, *fields.SIZES) if fields.get(case, name) != fields.get(minimal, name)}
        assert len(changed - {*fields.FILLS, "activation.rank"}) <= 2


@pytest.mark.parametrize("packed", PackedView)
def test_the_other_view(packed: PackedView) -> None:
    case = Case(packed=packed)
    assert {case.packed, other_view(case).packed} == set(PackedView)
    assert other_view(other_view(case)) == case


@dataclass(frozen=True)
class Conjunction:
    """A failure that needs some values and some sizes."""

    choices: Mapping[str, frozenset[Any]]
    sizes: Mapping[str, SizeRule]

    def __call__(self, case: Case) -> bool:
        blocksize = case.quantization.blocksize
        return all(fields.get(case, name) in failing for name, failing in self.choices.items()) and all(
            rule.holds(fields.get(case, name), blocksize) for name, rule in self.sizes.items()
        )


RULES: Final = tuple(parse(text) for text in ("odd", "even", "% 4 == 0", "% 64 != 0", ">= 2", ">= 33", ">= 65", "% 2 != 0, >= 37"))


@st.composite
def conjunctions(draw: st.DrawFn) -> tuple[Case, Conjunction]:
    """A Case and a failure that it shows, with values that are not neutral."""
    case = draw(cases())
    names = [name for name in fields.CHOICES if fields.get(case, name) != fields.neutral(name)]
    chosen = draw(st.sets(st.sampled_from(names), max_size=3)) if names else set[str]()
    choices = {}
    for name in sorted(chosen):
        others = draw(st.sets(st.sampled_from(fields.CHOICES[name][1:])))
        choices[name] = frozenset({fields.get(case, name), *others})
    sizes = {}
    for name in draw(st.sets(st.sampled_from(fields.SIZES), max_size=2)):
        holding = [rule for rule in RULES if rule.holds(fields.get(case, name), 64)]
        if holding:
            sizes[name] = draw(st.sampled_from(holding))
    return case, Conjunction(choices, sizes)


@given(conjunctions())
def test_of_any_conjunction_exactly_the_failing_values_are_found(drawn: tuple[Case, Conjunction]) -> None:
    case, fails = drawn
    minimal = reduce_case(case, fails).case
    examined = examine(minimal, Asked(fails))
    assert examined.condition.holds(minimal)
    needed = {name for name in fails.choices if name != "activation.rank" or minimal.activation.rows == 1 or minimal.activation.rank == 3}
    assert set(examined.condition.choices) == needed
    for name in needed:
        if name != "activation.rank" or minimal.activation.rows == 1:
            assert examined.condition.choices[name] == fails.choices[name]
    assert set(examined.triggers) == {*examined.condition.choices, *examined.condition.sizes}


@given(conjunctions())
def test_of_any_conjunction_the_sizes_are_found(drawn: tuple[Case, Conjunction]) -> None:
    case, fails = drawn
    minimal = reduce_case(case, fails).case
    condition = examine(minimal, Asked(fails)).condition
    assert set(condition.sizes) == set(fails.sizes)
    for name, rule in condition.sizes.items():
        for size in (*range(1, 131), 1024, 4096, 4097):
            assert rule.holds(size, 64) == fails.sizes[name].holds(size, 64), f"{name}={size} by {rule.text}"


@given(conjunctions())
def test_of_any_conjunction_what_is_taken_back_passes(drawn: tuple[Case, Conjunction]) -> None:
    case, fails = drawn
    minimal = reduce_case(case, fails).case
    condition = examine(minimal, Asked(fails)).condition
    for failing in (case, minimal):
        back = condition.taken_back(failing)
        assert (back is None) == (condition == Condition())
        assert back is None or not fails(back)


@pytest.mark.parametrize(("outcome", "needed"), [(Outcome.NOT_RUN, []), (Outcome.BLOCKED, ["bias"])])
def test_what_a_path_needs_to_be_asked_at_all_is_no_trigger_but_what_another_failure_hides_may_be(
    outcome: Outcome, needed: list[str]
) -> None:
    """With the neutral value the path is not run: it does not take the Case, or the one before it fails for another reason."""
    assert list(examine(Case(bias=True), lambda case: Outcome.FAILS if case.bias else outcome).triggers) == needed


@pytest.mark.parametrize("outcome", [Outcome.NOT_RUN, Outcome.BLOCKED])
def test_the_only_mode_of_a_path_is_no_trigger(outcome: Outcome) -> None:
    """Elsewhere it does not run, and what comes before it may fail for a reason of its own."""
    kept = Case(execution=Execution(mode=Mode.KEPT))
    assert examine(kept, lambda case: Outcome.FAILS if case.execution.mode is Mode.KEPT else outcome).triggers == {}
