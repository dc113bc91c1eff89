"""Conditions over fields: when they hold, and how a Case is changed so that they do not."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.triage.condition import NOT_ONES, Condition, all_taken_back, parse_triggers, turn
from fuzz.triage.sizes import BLOCKSIZE, POWERS, SizeRule, SizeRuleError, parse
from strategies import fields
from strategies.case import (
    MAX_DIMENSION,
    NON_FINITE,
    Activation,
    Case,
    CaseError,
    Fill,
    FloatDType,
    Layout,
    PackedView,
    Quantization,
    Weight,
)
from strategies.cases import cases, related_cases
from tests.strategies.helpers import BUSY

OUT, IN, ROWS = fields.SIZES
EVERY = (*fields.CHOICES, *fields.SIZES)
NOT_FILLS = tuple(name for name in fields.CHOICES if name not in fields.FILLS)

any_case = st.one_of(cases(), related_cases())


@st.composite
def rules(draw: st.DrawFn) -> SizeRule:
    """A rule that leaves out some size, as they are learned."""
    passing = draw(st.one_of(st.just(frozenset[int]()), st.frozensets(st.integers(1, 200), min_size=1)))
    if passing:
        return SizeRule(passing=passing)
    multiple = draw(st.sampled_from((1, 1, 1, *POWERS)))
    modulus = draw(st.sampled_from((None, None, BLOCKSIZE, *(power for power in POWERS if power > multiple))))
    least = draw(st.one_of(st.just(1), st.integers(2, 200)))
    beyond = draw(st.booleans()) and least == 1
    most = draw(st.sampled_from((None, None, 1, 32, 100)))
    rule = SizeRule(
        least=least, most=None if most is None else most + least, multiple_of=multiple, not_multiple_of=modulus, beyond_block=beyond
    )
    return rule if rule != SizeRule() else SizeRule(least=2)


@st.composite
def choices(draw: st.DrawFn, names: tuple[str, ...] = tuple(fields.CHOICES)) -> dict[str, frozenset[Any]]:
    """Values of some fields, as they are seen to fail: never the neutral one."""
    chosen = draw(st.sets(st.sampled_from(names), max_size=3))
    return {name: frozenset(draw(st.sets(st.sampled_from(fields.CHOICES[name][1:]), min_size=1))) for name in sorted(chosen)}


size_rules = st.dictionaries(st.sampled_from(fields.SIZES), rules(), max_size=2)
conditions = st.builds(Condition, choices(), size_rules).filter(lambda condition: condition != Condition())
"""Every condition that can be learned, but that a defect acts always."""


@st.composite
def acting(draw: st.DrawFn) -> tuple[Case, Condition]:
    """A Case and a condition that holds for it, over fields that are not neutral there."""
    case = draw(any_case)
    names = [name for name in fields.CHOICES if fields.get(case, name) != fields.neutral(name)]
    chosen = draw(st.sets(st.sampled_from(names), max_size=3)) if names else set[str]()
    failing = {name: frozenset([fields.get(case, name)]) | frozenset(draw(choices((name,))).get(name, ())) for name in sorted(chosen)}
    blocksize = case.quantization.blocksize
    drawn = draw(size_rules)
    sizes = {name: rule for name, rule in drawn.items() if rule.holds(fields.get(case, name), blocksize)}
    if not failing and not sizes:
        size = case.weight.in_features  # of the largest sizes there is none beyond
        sizes = {IN: SizeRule(least=min(size, 1), most=size) if size <= 100 else SizeRule(least=size)}
    return case, Condition(failing, sizes)


def with_sizes(out_features: int, in_features: int = 1, layout: Layout = Layout.OUT_IN, rows: tuple[int, ...] = ()) -> Case:
    return Case(weight=Weight(out_features=out_features, in_features=in_features, layout=layout), activation=Activation(leading=rows))


def on_sizes(**rules_of: str) -> Condition:
    names = {"out": OUT, "in_": IN, "rows": ROWS}
    return Condition(sizes={names[name]: parse(text) for name, text in rules_of.items()})


def changed_fields(case: Case, other: Case) -> set[str]:
    names = {name for name in (*EVERY, "seed") if fields.get(case, name) != fields.get(other, name)}
    if "activation.rank" in names and 1 in (case.activation.rows, other.activation.rows) and ROWS in names:
        names -= {"activation.rank"}  # several rows need a second dimension
    return names


IN_FLOAT16 = Condition({"weight.dtype": frozenset([FloatDType.FLOAT16])})
IN_OUT = Condition({"weight.layout": frozenset([Layout.IN_OUT])})
ODD_OUT = on_sizes(out="odd")


@given(any_case)
def test_an_empty_condition_holds_always_and_cannot_be_taken_back(case: Case) -> None:
    assert Condition().holds(case)
    assert Condition().taken_back(case) is None
    assert all_taken_back([Condition()], case) is None


@given(any_case, choices())
def test_choices_hold_if_each_has_one_of_the_values(case: Case, failing: dict[str, frozenset[Any]]) -> None:
    assert Condition(failing).holds(case) == all(fields.get(case, name) in values for name, values in failing.items())


@given(any_case, choices(), size_rules)
def test_a_condition_is_a_conjunction(case: Case, failing: dict[str, frozenset[Any]], sizes: dict[str, SizeRule]) -> None:
    blocksize = case.quantization.blocksize
    each = Condition(failing).holds(case) and all(rule.holds(fields.get(case, name), blocksize) for name, rule in sizes.items())
    if each:
        assert Condition(failing, sizes).holds(case)
    elif case.weight.layout is Layout.OUT_IN or "weight.layout" in failing or not sizes:
        assert not Condition(failing, sizes).holds(case)


@given(acting())
def test_a_condition_made_of_a_case_holds_for_it(drawn: tuple[Case, Condition]) -> None:
    case, condition = drawn
    assert condition.holds(case)


@pytest.mark.parametrize("name", fields.SIZES)
def test_each_size_is_judged_by_its_own_rule(name: str) -> None:
    condition = Condition(sizes={name: parse(">= 33")})
    assert not condition.holds(fields.replace(with_sizes(32, 32), name, 32))
    assert condition.holds(fields.replace(with_sizes(32, 32), name, 33))


def test_a_rule_follows_the_blocksize_of_the_case() -> None:
    condition = on_sizes(in_="% blocksize != 0")
    case = with_sizes(1, 128)
    assert not condition.holds(case)
    assert condition.holds(fields.replace(case, "quantization.blocksize", 256))


@pytest.mark.parametrize(
    ("layout", "out_features", "in_features", "holds"),
    [
        (Layout.OUT_IN, 3, 4, True),
        (Layout.OUT_IN, 4, 3, False),
        (Layout.IN_OUT, 3, 4, True),
        (Layout.IN_OUT, 4, 3, True),  # stored as 3 x 4
        (Layout.IN_OUT, 4, 4, False),
    ],
)
def test_a_weight_that_is_stored_alike_is_judged_alike(layout: Layout, out_features: int, in_features: int, holds: bool) -> None:  # noqa: FBT001
    assert ODD_OUT.holds(with_sizes(out_features, in_features, layout)) is holds


def test_the_stored_shape_does_not_count_where_the_layout_is_named() -> None:
    named = Condition({"weight.layout": frozenset([Layout.IN_OUT])}, {OUT: parse("odd")})
    assert named.holds(with_sizes(3, 4, Layout.IN_OUT))
    assert not named.holds(with_sizes(4, 3, Layout.IN_OUT))
    assert not named.holds(with_sizes(3, 4))


def test_a_layout_is_named_also_where_either_fails() -> None:
    either = Condition({"weight.layout": frozenset(Layout)}, {OUT: parse("odd")})
    assert either.holds(with_sizes(3, 4))
    assert either.holds(with_sizes(3, 4, Layout.IN_OUT))
    assert not either.holds(with_sizes(4, 3, Layout.IN_OUT))


def test_the_stored_shape_counts_with_all_sizes_together() -> None:
    both = on_sizes(out="odd", in_=">= 65")
    assert both.holds(with_sizes(3, 65, Layout.IN_OUT))
    assert both.holds(with_sizes(65, 3, Layout.IN_OUT))
    assert not both.holds(with_sizes(66, 66, Layout.IN_OUT))
    assert not both.holds(with_sizes(3, 3, Layout.IN_OUT))


@given(any_case)
def test_turning_keeps_the_stored_shape_and_turning_again_gives_the_case_back(case: Case) -> None:
    """What limits a Case treats both sizes alike, so that every Case can be turned."""
    turned = turn(case)
    assert turned is not None
    assert turned.weight.stored_shape == case.weight.stored_shape
    assert turned.weight.layout is not case.weight.layout
    assert turn(turned) == case
    assert changed_fields(case, turned) <= {"weight.layout", OUT, IN}


@given(any_case, conditions)
def test_what_is_taken_back_is_gone(case: Case, condition: Condition) -> None:
    back = condition.taken_back(case)
    assert back is None or not condition.holds(back)
    for way in condition.ways_back(case):
        assert not condition.holds(way)


@given(acting())
def test_what_acts_on_a_drawn_case_can_be_taken_back_and_touches_its_own_fields_only(drawn: tuple[Case, Condition]) -> None:
    case, condition = drawn
    back = condition.taken_back(case)
    assert back is not None
    allowed = {*condition.choices, *condition.sizes}
    if case.weight.layout is Layout.IN_OUT and allowed & set(fields.DIMENSIONS):
        allowed |= set(fields.DIMENSIONS)
    if "activation.rank" in condition.choices:
        allowed |= {ROWS}
    assert changed_fields(case, back) <= allowed


@given(acting())
def test_fills_are_touched_only_where_nothing_else_is(drawn: tuple[Case, Condition]) -> None:
    case, condition = drawn
    back = condition.taken_back(case)
    assert back is not None
    if condition.sizes or set(condition.choices) - set(fields.FILLS):
        assert not changed_fields(case, back) & set(fields.FILLS)
    else:
        assert changed_fields(case, back) == set(condition.choices)


@given(acting())
def test_sizes_are_touched_only_where_no_choice_is(drawn: tuple[Case, Condition]) -> None:
    case, condition = drawn
    back = condition.taken_back(case)
    assert back is not None
    if set(condition.choices) - {*fields.FILLS, "activation.rank"}:
        assert not changed_fields(case, back) & set(fields.SIZES)


@given(any_case, choices(NOT_FILLS))
def test_all_choices_are_neutral_afterwards(case: Case, failing: dict[str, frozenset[Any]]) -> None:
    """Any one would do; that none is left makes it surer that the defect does not act."""
    back = Condition(failing).taken_back(case)
    if failing:
        assert back is not None
        neutral = [name for name in failing if name != "activation.rank" or back.activation.rows == 1]
        assert all(fields.get(back, name) == fields.neutral(name) for name in neutral)


@pytest.mark.parametrize(
    ("values", "leading", "back"),
    [
        ({3}, (1, 1), ()),
        ({2, 3}, (1,), ()),
        ({3}, (4, 33), (132,)),  # rows are kept: they need a second dimension, but no third
        ({2, 3}, (4, 33), ()),  # they need a second dimension, and that is one of those
        ({2, 3}, (33,), ()),
        ({2}, (33,), ()),
    ],
)
def test_a_rank_is_taken_back_although_rows_need_one(values: set[int], leading: tuple[int, ...], back: tuple[int, ...]) -> None:
    taken = Condition({"activation.rank": frozenset(values)}).taken_back(with_sizes(1, rows=leading))
    assert taken is not None
    assert taken.activation.leading == back


def test_another_trigger_is_taken_back_and_the_rows_stay() -> None:
    condition = Condition({"activation.rank": frozenset([2, 3]), "bias": frozenset([True])})
    back = condition.taken_back(dataclasses.replace(with_sizes(1, rows=(4, 33)), bias=True))
    assert back == with_sizes(1, rows=(132,))


def test_a_dtype_is_taken_back_alone() -> None:
    back = IN_FLOAT16.taken_back(BUSY)
    assert back is not None
    assert changed_fields(BUSY, back) == {"weight.dtype"}


def test_sizes_are_taken_back_as_they_are_stored() -> None:
    """Both sizes are odd, and each would do, since the condition holds for either layout."""
    back = ODD_OUT.taken_back(with_sizes(3, 5, Layout.IN_OUT))
    assert back is not None
    assert back.weight.layout is Layout.IN_OUT
    assert back.weight.out_features % 2 == back.weight.in_features % 2 == 0


@pytest.mark.parametrize(("out_features", "in_features"), [(3, 4), (4, 3)])
def test_one_size_is_taken_back_where_one_is_enough(out_features: int, in_features: int) -> None:
    case = with_sizes(out_features, in_features, Layout.IN_OUT)
    back = ODD_OUT.taken_back(case)
    assert back is not None
    assert len(changed_fields(case, back)) == 1


def test_a_size_that_would_be_no_case_is_left_out() -> None:
    """A multiple of the blocksize would be too many elements."""
    case = dataclasses.replace(with_sizes(2**10, 2**15 - 1), quantization=Quantization(blocksize=4096))
    condition = on_sizes(out="% 4096 != 0", in_=f">= {2**15 - 1}")
    back = condition.taken_back(case)
    assert back is not None
    assert not condition.holds(back)


def test_the_largest_size_is_taken_back() -> None:
    back = on_sizes(in_="even").taken_back(with_sizes(1, MAX_DIMENSION))
    assert back is not None
    assert back.weight.in_features == 1


@pytest.mark.parametrize("condition", [Condition(), Condition({"weight.dtype": frozenset(FloatDType)}), Condition(sizes={OUT: SizeRule()})])
def test_what_cannot_be_taken_back(condition: Condition) -> None:
    assert condition.taken_back(BUSY) is None
    assert list(condition.ways_back(BUSY)) == []


def test_a_neutral_value_is_taken_back_by_another_trigger() -> None:
    """Not learned, but people may write it."""
    condition = Condition({"weight.dtype": frozenset([FloatDType.FLOAT32])}, {OUT: parse("odd")})
    assert condition.taken_back(with_sizes(3)) == with_sizes(64)


@given(any_case, st.lists(conditions, max_size=4))
def test_nothing_holds_when_all_are_taken_back(case: Case, several: list[Condition]) -> None:
    back = all_taken_back(several, case)
    if back is not None:
        assert not any(condition.holds(back) for condition in several)
    if not any(condition.holds(case) for condition in several):
        assert back is case, "what does not act is not touched"


@given(acting())
def test_one_alone_is_taken_back_as_by_itself(drawn: tuple[Case, Condition]) -> None:
    case, condition = drawn
    assert all_taken_back([condition], case) == condition.taken_back(case)
    assert all_taken_back([condition, condition], case) == condition.taken_back(case)


@given(any_case, st.lists(st.builds(Condition, choices()).filter(lambda condition: condition != Condition()), max_size=5))
def test_choices_can_always_be_taken_back_together(case: Case, several: list[Condition]) -> None:
    """A neutral value is none of a trigger, so that one never brings another about."""
    back = all_taken_back(several, case)
    assert back is not None
    assert changed_fields(case, back) <= {ROWS, *(name for condition in several for name in condition.choices)}


def test_the_size_that_suits_all_is_taken() -> None:
    """A multiple of 64 is not odd, but the other one's; an even number that is none suits both."""
    back = all_taken_back([ODD_OUT, on_sizes(out="% 64 == 0")], with_sizes(3))
    assert back == with_sizes(4)


def test_one_that_is_brought_about_is_taken_back_too() -> None:
    """Taking back the layout makes a condition hold that names the other size; then that is taken back."""
    first = Condition({"bias": frozenset([True])}, {OUT: parse("odd")})
    second = Condition({"packed": frozenset([PackedView.TRANSPOSED])}, {OUT: parse("% 64 == 0")})
    case = dataclasses.replace(with_sizes(3), bias=True, packed=PackedView.TRANSPOSED)
    back = all_taken_back([first, second], case)
    assert back is not None
    assert not first.holds(back)
    assert not second.holds(back)


def test_two_that_leave_nothing_cannot_be_taken_back() -> None:
    assert all_taken_back([ODD_OUT, on_sizes(out="even")], with_sizes(3)) is None
    assert all_taken_back([on_sizes(rows="<= 9"), on_sizes(rows=">= 5")], with_sizes(1, rows=(7,))) is None


@pytest.mark.parametrize(
    ("one", "other", "resembles"),
    [
        (on_sizes(out="odd"), on_sizes(out=">= 65"), True),
        (on_sizes(out="odd", in_="odd"), on_sizes(in_=">= 65", rows=">= 2"), True),
        (on_sizes(out="odd"), on_sizes(in_="odd"), False),
        (on_sizes(out="== 0"), on_sizes(in_="== 0"), True),
        (on_sizes(out="== 0"), on_sizes(in_="odd"), False),
        (on_sizes(out="odd"), on_sizes(out="% 32 != 0"), False),
        (on_sizes(out="% 32 != 0"), on_sizes(out="% 32 != 0, >= 65"), True),
        (on_sizes(out="odd"), Condition(IN_OUT.choices, ODD_OUT.sizes), False),
        (Condition(IN_OUT.choices, ODD_OUT.sizes), Condition({"weight.layout": frozenset(Layout)}, ODD_OUT.sizes), True),
        (IN_OUT, IN_OUT, True),
        (IN_OUT, Condition(IN_OUT.choices, ODD_OUT.sizes), True),
        (Condition(), Condition(), True),
        (Condition(), ODD_OUT, False),
    ],
)
def test_conditions_resemble_each_other_by_their_fields(one: Condition, other: Condition, resembles: bool) -> None:  # noqa: FBT001
    assert one.resembles(other) is resembles
    assert other.resembles(one) is resembles


@pytest.mark.parametrize(
    ("triggers", "condition"),
    [
        ({}, Condition()),
        ({"weight.layout": "in_out"}, IN_OUT),
        ({"weight.dtype": ["float16"]}, IN_FLOAT16),
        (
            {"activation.dtype": ["float16", "bfloat16"]},
            Condition({"activation.dtype": frozenset([FloatDType.FLOAT16, FloatDType.BFLOAT16])}),
        ),
        ({"bias": True}, Condition({"bias": frozenset([True])})),
        ({"quantization.blocksize": [128, 256]}, Condition({"quantization.blocksize": frozenset([128, 256])})),
        ({"activation.rank": 3}, Condition({"activation.rank": frozenset([3])})),
        ({"weight.fill": NOT_ONES}, Condition({"weight.fill": frozenset(Fill) - {Fill.ONES} - NON_FINITE})),
        (
            {"weight.fill": NOT_ONES, "bias": True},
            Condition({"weight.fill": frozenset(Fill) - {Fill.ONES}, "bias": frozenset({True})}),
        ),
        ({"weight.fill": "huge"}, Condition({"weight.fill": frozenset([Fill.HUGE])})),
        ({"weight.out_features": "odd"}, ODD_OUT),
        ({"weight.out_features": "% 64 != 0, >= 65"}, on_sizes(out="% 64 != 0, >= 65")),
        ({"activation.rows": "== 7", "weight.layout": "in_out"}, Condition(IN_OUT.choices, {ROWS: parse("== 7")})),
    ],
)
def test_triggers_are_read(triggers: dict[str, Any], condition: Condition) -> None:
    assert parse_triggers(triggers) == condition


@given(any_case)
def test_the_triggers_of_a_case_hold_for_it(case: Case) -> None:
    assert parse_triggers(fields.triggers(case)).holds(case)


@given(choices(), size_rules)
def test_what_is_written_as_json_is_read_again(failing: dict[str, frozenset[Any]], sizes: Mapping[str, SizeRule]) -> None:
    written: dict[str, Any] = {name: [fields.json_value(value) for value in values] for name, values in failing.items()}
    regular = {name: rule for name, rule in sizes.items() if not rule.passing}
    assert parse_triggers(written | {name: rule.text for name, rule in regular.items()}) == Condition(failing, regular)


@pytest.mark.parametrize(
    ("triggers", "error", "words"),
    [
        ({"colour": "red"}, CaseError, "'colour' is not a field with choices; they are execution.grad, "),
        ({"weight": {"layout": "in_out"}}, CaseError, "'weight' is not a field with choices; they are "),
        ({"seed": 3}, CaseError, "'seed' is not a field with choices; they are "),
        ({"weight.layout": "sideways"}, CaseError, "weight.layout is 'sideways', not one of out_in, in_out"),
        ({"weight.layout": ["in_out", "sideways"]}, CaseError, "weight.layout is 'sideways', not one of out_in, in_out"),
        ({"weight.layout": []}, CaseError, "weight.layout has no value"),
        ({"weight.layout": [["in_out"]]}, CaseError, "weight.layout is ['in_out'], not one of out_in, in_out"),
        ({"weight.layout": {}}, CaseError, "weight.layout is {}, not one of out_in, in_out"),
        ({"bias": "true"}, CaseError, "bias is 'true', not one of False, True"),
        ({"bias": 1}, CaseError, "bias is 1, not one of False, True"),
        ({"quantization.blocksize": True}, CaseError, "quantization.blocksize is True, not one of 64, "),
        ({"quantization.blocksize": "128"}, CaseError, "quantization.blocksize is '128', not one of 64, "),
        ({"quantization.blocksize": 128.0}, CaseError, "quantization.blocksize is 128.0, not one of 64, "),
        ({"weight.fill": [NOT_ONES]}, CaseError, "weight.fill is '!=ones', not one of ones, "),
        ({"bias": NOT_ONES}, CaseError, "bias is '!=ones', not one of False, True"),
        ({"weight.out_features": 33}, SizeRuleError, "weight.out_features is 33, not a rule about a size, such as "),
        ({"activation.rows": ["odd"]}, SizeRuleError, "activation.rows is ['odd'], not a rule about a size, such as "),
        ({"activation.rows": True}, SizeRuleError, "activation.rows is True, not a rule about a size, such as "),
        ({"weight.in_features": "prime"}, SizeRuleError, "'prime' is not a rule about a size, such as "),
        ({"weight.in_features": ">= 1"}, SizeRuleError, "'>= 1' is so of every size"),
        ({"weight.in_features": ""}, SizeRuleError, "'' is not a rule about a size, such as "),
    ],
)
def test_what_is_no_trigger_is_refused_in_one_sentence(triggers: dict[str, Any], error: type[ValueError], words: str) -> None:
    with pytest.raises(error) as caught:
        parse_triggers(triggers)
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


def test_what_is_taken_back_is_made_ambiguous_only_where_nothing_else_helps() -> None:
    """No path takes a square [in, out] weight, so that a Case without the defect would say nothing."""
    unaligned = parse_triggers({"weight.in_features": "% 64 != 0"})
    back = unaligned.taken_back(Case(weight=Weight(out_features=64, in_features=63, layout=Layout.IN_OUT)))
    assert back is not None
    assert back.weight.layout is Layout.OUT_IN or back.weight.out_features != back.weight.in_features
    small = parse_triggers({"weight.in_features": "<= 4224"})
    assert small.taken_back(Case(weight=Weight(out_features=32, in_features=4224, layout=Layout.IN_OUT))) is not None
