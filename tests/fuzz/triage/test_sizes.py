"""Rules about a size: what they say, how they are written and read, and how they are learned."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.triage.sizes import BLOCKSIZE, POWERS, ROUND, WORDS, ZERO, SizeRule, SizeRuleError, learn, parse
from strategies.case import BLOCKSIZES, MAX_DIMENSION

PROBES = (1, 2, 3, 4, 7, 8, 16, 31, 32, 33, 63, 64, 65, 96, 127, 128, 129, 192, 1023, 1024, 4096, 4097, 8192)

sizes = st.one_of(st.sampled_from(PROBES), st.integers(1, 300), st.integers(1, MAX_DIMENSION))
blocksizes = st.sampled_from(BLOCKSIZES)
probe_sets = st.sets(st.one_of(st.sampled_from(PROBES), st.integers(1, 300)), min_size=1, max_size=20)


@st.composite
def learnable(draw: st.DrawFn) -> SizeRule:
    """A rule of the kind that is learned, with numbers only, and for which some size holds."""
    multiple = draw(st.sampled_from((1, 1, 1, *POWERS)))
    modulus = draw(st.sampled_from((None, None, *(power for power in POWERS if power > multiple))))
    least = draw(st.one_of(st.just(1), st.sampled_from(PROBES), st.integers(1, 5000)))
    most = draw(st.one_of(st.none(), st.sampled_from(PROBES), st.integers(1, 5000)))
    return SizeRule(least=least, most=most if most is None else most + least, multiple_of=multiple, not_multiple_of=modulus)


@st.composite
def rules(draw: st.DrawFn) -> SizeRule:
    """Any rule that is not irregular, those that follow the blocksize among them."""
    rule = draw(learnable())
    multiple = draw(st.sampled_from((rule.multiple_of, rule.multiple_of, BLOCKSIZE)))
    modulus = draw(st.sampled_from((rule.not_multiple_of, BLOCKSIZE)))
    beyond = draw(st.booleans())
    least = 1 if beyond else rule.least
    return SizeRule(least=least, most=rule.most, multiple_of=multiple, not_multiple_of=modulus, beyond_block=beyond)


def irregular(*passing: int) -> SizeRule:
    return SizeRule(passing=frozenset(passing))


irregulars = st.sets(sizes, min_size=1).map(lambda passing: SizeRule(passing=frozenset(passing)))
restrictive = st.one_of(rules().filter(lambda rule: rule != SizeRule()), irregulars)
"""Every rule that is not so of every size."""


def failing(rule: SizeRule, blocksize: int = 64, probes: tuple[int, ...] = PROBES) -> set[int]:
    return {size for size in probes if rule.holds(size, blocksize)}


HOLDS: list[tuple[SizeRule, int, set[int]]] = [
    (ZERO, 64, set()),
    (SizeRule(), 64, {1, 2, 63, 64, 65, 4096}),
    (SizeRule(least=64), 64, {64, 65, 4096}),
    (SizeRule(most=64), 64, {1, 2, 63, 64}),
    (SizeRule(least=2, most=64), 64, {2, 63, 64}),
    (SizeRule(least=65, most=65), 64, {65}),
    (SizeRule(multiple_of=2), 64, {2, 64, 4096}),
    (SizeRule(not_multiple_of=2), 64, {1, 63, 65}),
    (SizeRule(not_multiple_of=BLOCKSIZE), 64, {1, 2, 63, 65}),
    (SizeRule(not_multiple_of=BLOCKSIZE), 32, {1, 2, 63, 65}),
    (SizeRule(not_multiple_of=BLOCKSIZE), 4096, {1, 2, 63, 64, 65}),
    (SizeRule(multiple_of=BLOCKSIZE), 64, {64, 4096}),
    (SizeRule(multiple_of=BLOCKSIZE), 4096, {4096}),
    (SizeRule(multiple_of=BLOCKSIZE, not_multiple_of=BLOCKSIZE), 64, set()),
    (SizeRule(multiple_of=BLOCKSIZE, beyond_block=True), 64, {4096}),
    (SizeRule(beyond_block=True), 64, {65, 4096}),
    (SizeRule(beyond_block=True), 32, {63, 64, 65, 4096}),
    (SizeRule(beyond_block=True), 4096, set()),
    (SizeRule(beyond_block=True, least=100), 64, {4096}),
    (SizeRule(beyond_block=True, least=10), 64, {65, 4096}),
    (SizeRule(multiple_of=2, not_multiple_of=64), 64, {2}),
    (SizeRule(multiple_of=64, least=65), 64, {4096}),
    (SizeRule(multiple_of=64, not_multiple_of=2), 64, set()),
    (irregular(2, 4096), 64, {1, 63, 64, 65}),
]


@pytest.mark.parametrize(("rule", "blocksize", "expected"), HOLDS, ids=[f"{rule.text}, blocks of {block}" for rule, block, _ in HOLDS])
def test_holds(rule: SizeRule, blocksize: int, expected: set[int]) -> None:
    assert failing(rule, blocksize, (1, 2, 63, 64, 65, 4096)) == expected


@given(restrictive, sizes, blocksizes)
def test_no_harmless_size_fails_and_there_is_always_one(rule: SizeRule, size: int, blocksize: int) -> None:
    harmless = list(rule.harmless(size, blocksize))
    assert harmless
    assert all(other >= 1 and not rule.holds(other, blocksize) for other in harmless)
    assert len(set(harmless)) == len(harmless)


@given(sizes, blocksizes)
def test_nothing_is_harmless_where_every_size_fails(size: int, blocksize: int) -> None:
    assert list(SizeRule().harmless(size, blocksize)) == []


@given(st.integers(2, 5000), sizes, blocksizes)
def test_a_modulus_that_is_no_power_of_two_has_a_harmless_size_too(modulus: int, size: int, blocksize: int) -> None:
    """People may write any number into a known-issues file; what cannot be taken back would hide everything else."""
    assert list(SizeRule(not_multiple_of=modulus).harmless(size, blocksize))
    assert list(SizeRule(multiple_of=modulus).harmless(size, blocksize))


@pytest.mark.parametrize(
    ("text", "size", "blocksize", "first"),
    [
        ("odd", 3, 64, 64),
        ("odd", 65, 64, 128),
        ("% blocksize != 0", 65, 256, 256),
        ("% 128 != 0", 129, 64, 256),
        (">= 2", 33, 64, 1),
        ("> blocksize", 65, 64, 1),
        ("even", 64, 64, 65),
        ("even", 2, 64, 3),
        ("<= 32", 7, 64, 64),
        ("<= 100", 7, 64, 101),
        ("irregular", 5, 64, 64),
    ],
)
def test_the_size_that_is_tried_first(text: str, size: int, blocksize: int, first: int) -> None:
    assert next(parse(text).harmless(size, blocksize)) == first


@given(restrictive, blocksizes)
def test_zero_fails_by_the_rule_about_zero_and_by_no_other(rule: SizeRule, blocksize: int) -> None:
    assert ZERO.holds(0, blocksize)
    assert rule.passing or not rule.holds(0, blocksize)


def test_one_is_what_is_tried_in_place_of_zero() -> None:
    assert next(ZERO.harmless(0, 64)) == 1


@pytest.mark.parametrize("text", ["zero, odd", "== 0, % 2 == 0", ">= 0", "<= 0", "% 0 == 0", "% 0 != 0", "> 0"])
def test_zero_stands_alone_and_is_no_bound_and_no_modulus(text: str) -> None:
    with pytest.raises(SizeRuleError):
        parse(text)


@pytest.mark.parametrize(
    ("outcomes", "rule"),
    [
        ({0: True, 1: False, 64: False}, ZERO),
        ({0: True, 1: False, 64: True, 3: False}, SizeRule(multiple_of=2)),
        ({0: True}, None),
    ],
)
def test_a_failure_of_zero_alone_is_about_zero(outcomes: dict[int, bool], rule: SizeRule | None) -> None:
    assert learn(outcomes) == rule


@given(irregulars, sizes, blocksizes)
def test_only_what_passed_is_harmless_where_there_is_no_rule(rule: SizeRule, size: int, blocksize: int) -> None:
    assert set(rule.harmless(size, blocksize)) <= rule.passing
    assert min(rule.passing, key=lambda other: abs(other - size)) in rule.harmless(size, blocksize)


WRITTEN: list[tuple[SizeRule, str, str]] = [
    (SizeRule(), "any", "any"),
    (ZERO, "zero", "== 0"),
    (SizeRule(least=33), "large", ">= 33"),
    (SizeRule(most=32), "small", "<= 32"),
    (SizeRule(least=2, most=32), "large+small", ">= 2, <= 32"),
    (SizeRule(least=65, most=65), "large+small", "== 65"),
    (SizeRule(most=1), "small", "== 1"),
    (SizeRule(not_multiple_of=2), "odd", "% 2 != 0"),
    (SizeRule(not_multiple_of=4), "unaligned", "% 4 != 0"),
    (SizeRule(not_multiple_of=BLOCKSIZE), "unaligned", "% blocksize != 0"),
    (SizeRule(multiple_of=2), "even", "% 2 == 0"),
    (SizeRule(multiple_of=4), "aligned", "% 4 == 0"),
    (SizeRule(multiple_of=64, least=64), "aligned", "% 64 == 0, >= 64"),
    (SizeRule(multiple_of=64, least=65), "aligned+large", "% 64 == 0, >= 65"),
    (SizeRule(multiple_of=2, not_multiple_of=64), "unaligned+even", "% 2 == 0, % 64 != 0"),
    (SizeRule(not_multiple_of=2, least=65), "odd+large", "% 2 != 0, >= 65"),
    (SizeRule(not_multiple_of=BLOCKSIZE, beyond_block=True), "unaligned+large", "% blocksize != 0, > blocksize"),
    (SizeRule(beyond_block=True), "large", "> blocksize"),
    (SizeRule(multiple_of=BLOCKSIZE), "aligned", "% blocksize == 0"),
    (SizeRule(multiple_of=BLOCKSIZE, beyond_block=True), "aligned+large", "% blocksize == 0, > blocksize"),
    (SizeRule(beyond_block=True, most=300), "large+small", "> blocksize, <= 300"),
    (
        SizeRule(multiple_of=16, not_multiple_of=64, least=17, most=99),
        "unaligned+aligned+large+small",
        "% 16 == 0, % 64 != 0, >= 17, <= 99",
    ),
    (irregular(2), "irregular", "irregular"),
]


@pytest.mark.parametrize(("rule", "words", "text"), WRITTEN, ids=[text for _, _, text in WRITTEN])
def test_words_and_text(rule: SizeRule, words: str, text: str) -> None:
    assert (rule.words, rule.text) == (words, text)


@given(restrictive)
def test_words_are_the_ones_that_are_known_and_say_no_number(rule: SizeRule) -> None:
    assert set(rule.words.split("+")) <= set(WORDS)


@given(rules().filter(lambda rule: rule != SizeRule()))
def test_a_text_is_read_as_the_rule_that_wrote_it(rule: SizeRule) -> None:
    assert parse(rule.text) == rule
    assert parse(rule.text).text == rule.text


@given(st.integers(1, 10_000), blocksizes)
def test_a_single_size_is_read_as_it_was_written(size: int, blocksize: int) -> None:
    rule = SizeRule(least=size, most=size)
    assert parse(rule.text) == rule
    assert failing(rule, blocksize, tuple(range(max(size - 70, 1), size + 70))) == {size}


@given(restrictive)
def test_words_can_be_read_and_stay_the_same(rule: SizeRule) -> None:
    """That multiples of 4 are "large" from 2 on goes without saying."""
    read = parse(rule.words)
    assert set(rule.words.split("+")) - {"large"} <= set(read.words.split("+")) <= set(rule.words.split("+"))


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("zero", ZERO),
        ("odd", SizeRule(not_multiple_of=2)),
        ("unaligned", SizeRule(not_multiple_of=4096)),
        ("even", SizeRule(multiple_of=2)),
        ("large", SizeRule(least=2)),
        ("odd+large", SizeRule(not_multiple_of=2, least=2)),
        ("unaligned+even+large", SizeRule(not_multiple_of=4096, multiple_of=2, least=2)),
        ("small", SizeRule(most=63)),
        ("irregular", irregular(64, ROUND)),
    ],
)
def test_what_words_stand_for(words: str, rule: SizeRule) -> None:
    assert parse(words) == rule


@given(learnable().filter(lambda rule: rule != SizeRule()), sizes, blocksizes)
def test_words_hold_wherever_the_rule_does_up_to_a_block(rule: SizeRule, size: int, blocksize: int) -> None:
    """A row whose signature has words must take back what its defect needs."""
    small = rule.most is None or rule.most <= 63
    near = rule.not_multiple_of is None or int(rule.not_multiple_of) <= 64
    if small and near and rule.holds(size, blocksize):
        assert parse(rule.words).holds(size, blocksize)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("%64 != 0", SizeRule(not_multiple_of=64)),
        (" >=33 ", SizeRule(least=33)),
        (">= 33,<= 64", SizeRule(least=33, most=64)),
        (">= 2, >= 33, <= 64, <= 99", SizeRule(least=33, most=64)),
        ("% 6 == 0, % 4 == 0", SizeRule(multiple_of=12)),
        ("% 64 != 0, % 64 != 0", SizeRule(not_multiple_of=64)),
        ("% 2 == 0, % 64 != 0", SizeRule(multiple_of=2, not_multiple_of=64)),
        ("== 65, % blocksize != 0", SizeRule(least=65, most=65, not_multiple_of=BLOCKSIZE)),
        ("> blocksize, >= 1000", SizeRule(beyond_block=True, least=1000)),
        ("odd, >= 33", SizeRule(not_multiple_of=2, least=33)),
        ("odd + >= 33", SizeRule(not_multiple_of=2, least=33)),
    ],
)
def test_what_people_may_write(text: str, rule: SizeRule) -> None:
    assert parse(text) == rule


def refusal(text: str) -> str:
    with pytest.raises(SizeRuleError) as caught:
        parse(text)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "any", "Odd", "ODD", "prime", "65", "> 64", "< 64", "<= blocksize", ">= blocksize", "== blocksize"),
        *("% 64", "% 64 == 1", "% 64 != 1", "64 % 2 == 0", ">= -1", ">= 3 != 0", "> blocksize != 0"),
        *("% 0 == 0", "% 0 != 0", "<= 0", ">= 0", ">= 1.5", "% 2.0 == 0", ">= ٣", ">= " + 5000 * "9", "% 64 != 0\n>= 2"),
        *("% 64 = 0", ">= 064", "not odd", "!=ones", "% 64 != 0;"),
    ],
)
def test_what_is_no_rule_is_refused_with_examples(text: str) -> None:
    assert refusal(text) == f'{text.strip()!r} is not a rule about a size, such as "odd", "% 64 != 0" or ">= 33"'


@pytest.mark.parametrize(("text", "part"), [("odd, prime", "prime"), ("odd+", ""), ("odd,, even", ""), (">= 2, ", ""), ("even+any", "any")])
def test_the_part_that_is_wrong_is_named(text: str, part: str) -> None:
    assert refusal(text).startswith(f"{part!r} is not a rule about a size")


@pytest.mark.parametrize("text", ["% 64 != 0, % blocksize != 0", "% 128 != 0, % 64 != 0", "odd+unaligned", "% blocksize == 0, % 48 == 0"])
def test_two_moduli_are_refused_rather_than_one_forgotten(text: str) -> None:
    assert refusal(text) == f"{text!r} has several parts about multiples where a rule has one"


@pytest.mark.parametrize("text", ["irregular+large", "irregular, % 2 == 0", "odd+irregular", "irregular+irregular"])
def test_what_is_irregular_stands_alone(text: str) -> None:
    assert refusal(text) == f"{text!r} has more parts than 'irregular', which stands alone"


@pytest.mark.parametrize("text", [">= 1", "% 1 == 0", ">= 1, % 1 == 0"])
def test_a_rule_that_leaves_out_no_size_is_refused(text: str) -> None:
    """It could not be taken back, and a known issue would mute its whole path."""
    assert refusal(text) == f"{text!r} is so of every size"


@given(st.text(max_size=12))
def test_whatever_is_read_is_a_rule_or_refused(text: str) -> None:
    try:
        rule = parse(text)
    except SizeRuleError as error:
        assert "\n" not in str(error)  # noqa: PT017 - most texts are no rule
    else:
        assert rule != SizeRule()


PARTS = ("odd", "even", "large", "small", "unaligned", "irregular", "% 3 != 0", "% 48 == 0", ">= 7", "> blocksize", "<= 99")


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=4), sizes, blocksizes)
def test_everything_that_can_be_written_can_be_taken_back(written: list[str], size: int, blocksize: int) -> None:
    try:
        rule = parse(", ".join(written))
    except SizeRuleError:
        return
    assert list(rule.harmless(size, blocksize))
    each = [parse(part) for part in written]
    assert rule.holds(size, blocksize) == all(part.holds(size, blocksize) for part in each), "a conjunction"


def agrees(rule: SizeRule | None, outcomes: Mapping[int, bool]) -> bool:
    return all((rule is None or rule.holds(size, 64)) == fails for size, fails in outcomes.items())


@given(learnable(), probe_sets)
def test_what_is_learned_agrees_with_all_that_was_seen(rule: SizeRule, probes: set[int]) -> None:
    outcomes = {size: rule.holds(size, 64) for size in probes}
    if any(outcomes.values()):
        learned = learn(outcomes)
        assert agrees(learned, outcomes)
        assert learned is None or not learned.passing, "there is a rule, since one made the outcomes"


@given(st.dictionaries(st.integers(1, 130), st.booleans(), max_size=12).filter(lambda outcomes: True in outcomes.values()))
def test_what_is_learned_agrees_with_any_outcomes(outcomes: dict[int, bool]) -> None:
    rule = learn(outcomes)
    assert agrees(rule, outcomes)
    assert (rule is None) == all(outcomes.values())


@given(learnable(), probe_sets)
def test_the_order_of_what_was_seen_does_not_matter(rule: SizeRule, probes: set[int]) -> None:
    outcomes = {size: rule.holds(size, 64) for size in sorted(probes)}
    if any(outcomes.values()):
        assert learn(outcomes) == learn(dict(reversed(outcomes.items())))


def simplest(outcomes: Mapping[int, bool]) -> int:
    """The fewest parts of any rule that agrees, by trying all."""
    tried = sorted(outcomes)
    return min(
        (least > 1) + (most is not None) + (multiple > 1) + (modulus is not None)
        for rule, least, most, multiple, modulus in _all_rules(tried)
        if agrees(rule, outcomes)
    )


def _all_rules(tried: list[int]) -> Iterator[tuple[SizeRule, int, int | None, int, int | None]]:
    for least, most, multiple, modulus in itertools.product([1, *tried], [None, *tried], (1, *POWERS[:7]), (None, *POWERS[:7])):
        yield SizeRule(least=least, most=most, multiple_of=multiple, not_multiple_of=modulus), least, most, multiple, modulus


@given(learnable(), st.sets(st.integers(1, 70), min_size=2, max_size=5))
def test_no_simpler_rule_would_do(rule: SizeRule, probes: set[int]) -> None:
    outcomes = {size: rule.holds(size, 64) for size in probes}
    if len(set(outcomes.values())) == 2:
        learned = learn(outcomes)
        assert learned is not None
        assert learned._parts == simplest(outcomes)


def learned(*failing_sizes: int, passing: tuple[int, ...]) -> SizeRule | None:
    return learn(dict.fromkeys(failing_sizes, True) | dict.fromkeys(passing, False))


@pytest.mark.parametrize(
    ("failing_sizes", "passing", "rule"),
    [
        ((1, 3, 65, 129), (2, 64, 128, 130), SizeRule(not_multiple_of=2)),
        ((2, 64, 128), (1, 3, 65, 129), SizeRule(multiple_of=2)),
        ((33, 64, 65), (1, 2, 32), SizeRule(least=33)),
        ((1, 2, 32), (33, 64, 65), SizeRule(most=32)),
        ((3, 4, 5), (1, 2, 6, 7), SizeRule(least=3, most=5)),
        ((65, 127, 129), (1, 63, 64, 192), SizeRule(least=65, not_multiple_of=64)),
        ((65, 127, 129), (1, 63, 64, 128), SizeRule(least=65, not_multiple_of=128)),
        ((16, 32, 48, 80), (1, 2, 8, 15, 17, 64, 128), SizeRule(multiple_of=16, not_multiple_of=64)),
        ((1,), (64,), SizeRule(not_multiple_of=64)),  # an upper bound would be as simple, and is seen least often
        ((64,), (1,), SizeRule(least=64)),
        ((64,), (1, 65), SizeRule(multiple_of=2)),
        ((64, 128), (1, 32, 65), SizeRule(multiple_of=64)),
        ((1, 63, 65), (128,), SizeRule(not_multiple_of=128)),  # of two that agree, the one that holds for more sizes
    ],
)
def test_the_simplest_rule(failing_sizes: tuple[int, ...], passing: tuple[int, ...], rule: SizeRule) -> None:
    assert learned(*failing_sizes, passing=passing) == rule


def test_what_no_rule_explains_is_irregular() -> None:
    assert learned(1, 6, 7, passing=(3, 4)) == irregular(3, 4)


def test_an_irregular_rule_fears_what_was_not_seen() -> None:
    rule = irregular(3, 4)
    assert failing(rule, probes=(1, 2, 3, 4, 5, 1000)) == {1, 2, 5, 1000}
    assert list(rule.harmless(6, 64)) == [4, 3]


@given(st.sets(sizes, min_size=1))
def test_there_is_no_rule_where_every_size_fails(probes: set[int]) -> None:
    assert learn(dict.fromkeys(probes, True)) is None


@pytest.mark.parametrize("outcomes", [{}, {1: False}, {1: False, 64: False}])
def test_there_is_nothing_to_learn_where_no_size_fails(outcomes: dict[int, bool]) -> None:
    with pytest.raises(ValueError, match=r"^a rule about failing sizes needs one that fails$"):
        learn(outcomes)
