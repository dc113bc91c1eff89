"""Defects and rows as a run knows them: what concerns them, what they hide, and what they remember."""

from __future__ import annotations

import dataclasses

import pytest

from fuzz.engine.verdict import Symptom
from fuzz.triage.bug import SPARES, Row
from fuzz.triage.condition import parse_triggers
from fuzz.triage.verify import QUANTIZE
from reports.errors import ErrorGrid
from strategies.case import Case, Layout, Weight
from tests.fuzz.triage.suspecting import GEMV, LINEAR, MATMUL, bug, exact, failure, key, pattern

IN_OUT = {"weight.layout": "in_out"}
RAISES = Symptom.UNEXPECTED_EXCEPTION


def test_the_case_that_was_drawn() -> None:
    drawn, changed = Case(seed=1), Case(seed=2)
    assert failure(key(), drawn).drawn == drawn
    assert failure(key(), changed, first=drawn).drawn == drawn


def test_a_signature_has_the_triggers_and_no_numbers() -> None:
    found = bug({"weight.layout": "in_out", "weight.fill": "normal", "weight.out_features": "odd"}, key(how="codes"))
    assert found.signature == (
        "functional.matmul_4bit | matmul_4bit | wrong value (codes) | triggers: fill!=ones, weight.layout=in_out, weight.out_features=odd"
    )


def test_a_signature_is_not_changed_by_what_is_seen_later() -> None:
    found = bug(IN_OUT)
    before = found.signature
    found.link(key(LINEAR))
    found.count(failure(key(), ratio=3.0))
    found.regions.append(parse_triggers({"bias": True}))
    assert found.signature == before


@pytest.mark.parametrize("path", [MATMUL, LINEAR, GEMV])
@pytest.mark.parametrize("symptom", [RAISES, Symptom.WRONG_VALUE])
@pytest.mark.parametrize("how", ["RuntimeError", "ValueError", ""])
def test_a_bug_concerns_failures_like_its_own_on_its_paths(path: str, symptom: Symptom, how: str) -> None:
    found = bug(IN_OUT, key(MATMUL, RAISES, "RuntimeError"), LINEAR)
    alike = (symptom, how) == (RAISES, "RuntimeError")
    assert found.concerns(key(path, symptom, how)) is (alike and path != GEMV)


@pytest.mark.parametrize("how", ["RuntimeError", "ValueError", ""])
def test_a_bug_is_linked_to_a_path_and_not_to_another_failure_there(how: str) -> None:
    found = bug(IN_OUT, key(MATMUL, RAISES, "RuntimeError"))
    assert not found.concerns(key(LINEAR, RAISES, how))
    found.link(key(LINEAR, RAISES, "RuntimeError"))
    assert found.paths == {MATMUL, LINEAR}
    assert found.concerns(key(LINEAR, RAISES, how)) is (how == "RuntimeError")


def test_every_failure_counts_and_few_are_kept() -> None:
    found = bug(IN_OUT)
    failures = [failure(key(), Case(seed=seed)) for seed in range(SPARES + 3)]
    for seen in failures:
        found.count(seen)
    assert found.observed == SPARES + 3
    assert found.spares == failures[:SPARES]


def test_failures_on_other_paths_count_and_are_no_spares() -> None:
    """A spare takes the place of the minimal Case, which fails on the bug's own path."""
    found = bug(IN_OUT, None, LINEAR)
    found.count(failure(key(LINEAR)))
    assert found.observed == 1
    assert found.spares == []


def test_the_worst_case_is_the_one_with_the_largest_ratio() -> None:
    found = bug(IN_OUT)
    assert found.worst is None
    for seed, ratio in enumerate([None, 2.0, 1.0, None, 5.0, 5.0, 4.0]):
        found.count(failure(key(), Case(seed=seed), ratio))
    assert found.worst == (Case(seed=4), 5.0)


def test_where_the_errors_are_is_told_of_the_worst_case() -> None:
    found = bug(IN_OUT)
    for ratio in (2.0, 5.0, 4.0):
        grid = ErrorGrid(shape=(1, 1), tile=(1, 1), ratios=((ratio,),), wrong=("x",))
        plain = failure(key(), ratio=ratio)
        found.count(dataclasses.replace(plain, verdict=dataclasses.replace(plain.verdict, errors=grid)))
    assert found.worst_errors is not None
    assert found.worst_errors.ratios == ((5.0,),)


def test_a_failure_without_numbers_is_no_worst_case() -> None:
    found = bug(IN_OUT, key(MATMUL, RAISES))
    found.count(failure(key(MATMUL, RAISES)))
    assert found.worst is None


def test_a_ratio_of_zero_is_one() -> None:
    found = bug(IN_OUT)
    found.count(failure(key(), ratio=0.0))
    assert found.worst == (Case(), 0.0)


def test_bugs_do_not_share_what_they_remember() -> None:
    one, other = bug(IN_OUT), bug(IN_OUT)
    one.count(failure(key()))
    one.link(key(LINEAR))
    assert (other.observed, other.spares, other.paths) == (0, [], {MATMUL})


def test_a_row_begins_with_its_own_condition() -> None:
    row = Row(exact(IN_OUT))
    assert row.regions == [parse_triggers(IN_OUT)]
    assert row.regions[0].holds(Case(weight=Weight(layout=Layout.IN_OUT)))
    assert row.observed == 0


def test_rows_do_not_share_what_they_remember() -> None:
    issue = exact(IN_OUT)
    one, other = Row(issue), Row(issue)
    one.count(failure(key()))
    one.link(key(LINEAR))
    one.regions.append(parse_triggers({"bias": True}))
    assert (other.observed, other.paths, len(other.regions)) == (0, set(), 1)


@pytest.mark.parametrize("how", ["RuntimeError", "ValueError", ""])
def test_a_row_with_a_signature_is_linked_to_a_path_and_not_to_another_failure_there(how: str) -> None:
    row = Row(exact(IN_OUT, key(MATMUL, RAISES, "RuntimeError")))
    assert row.concerns(key(MATMUL, RAISES, how)) is (how == "RuntimeError")
    assert not row.concerns(key(LINEAR, RAISES, how))
    row.link(key(LINEAR, RAISES, "RuntimeError"))
    assert row.concerns(key(LINEAR, RAISES, how)) is (how == "RuntimeError")
    assert not row.concerns(key(LINEAR, Symptom.WRONG_VALUE, how))


@pytest.mark.parametrize("how", ["RuntimeError", ""])
def test_a_pattern_is_about_any_how(how: str) -> None:
    row = Row(pattern(IN_OUT, key(MATMUL, RAISES)))
    assert row.concerns(key(MATMUL, RAISES, how))
    row.link(key(GEMV, RAISES))
    assert row.concerns(key(GEMV, RAISES, how))
    assert not row.concerns(key(GEMV, Symptom.WRONG_SHAPE, how))


def test_a_row_counts() -> None:
    row = Row(exact(IN_OUT))
    row.count(failure(key()))
    row.count(failure(key(LINEAR)))
    assert row.observed == 2


@pytest.mark.parametrize("symptom", Symptom)
def test_what_fails_hides_other_failures_of_its_path(symptom: Symptom) -> None:
    for suspect in (
        bug(IN_OUT, key(MATMUL, symptom)),
        Row(exact(IN_OUT, key(MATMUL, symptom))),
        Row(pattern(IN_OUT, key(MATMUL, symptom))),
    ):
        assert suspect.hides(key(MATMUL, Symptom.WRONG_VALUE))
        assert suspect.hides(key(MATMUL, RAISES, "RuntimeError"))
        assert not suspect.hides(key(GEMV, symptom))
        suspect.link(key(GEMV, symptom))
        assert suspect.hides(key(GEMV, RAISES))


@pytest.mark.parametrize("symptom", Symptom)
def test_a_quantization_that_fails_hides_what_comes_after_it_unless_it_only_passes_on_wrong_numbers(symptom: Symptom) -> None:
    of = key(QUANTIZE, symptom)
    for suspect in (bug(IN_OUT, of), Row(exact(IN_OUT, of)), Row(pattern(IN_OUT, of))):
        assert suspect.hides(key(MATMUL)) is (symptom is not Symptom.WRONG_VALUE)
        assert suspect.hides(key(QUANTIZE))


@pytest.mark.parametrize("symptom", [Symptom.WRONG_VALUE, Symptom.RANGE_DIVERGENCE, Symptom.BROKEN_RELATION])
def test_wrong_numbers_hide_no_call_that_should_have_been_refused(symptom: Symptom) -> None:
    """Those of such a call are not looked at."""
    of = key(symptom=symptom)
    for suspect in (bug(IN_OUT, of), Row(exact(IN_OUT, of))):
        assert not suspect.hides(key(symptom=Symptom.MISSING_ERROR))
        assert suspect.hides(key(symptom=RAISES))


def test_a_row_that_names_its_paths_hides_nothing_on_others_of_the_surface() -> None:
    row = Row(pattern(IN_OUT, key(GEMV), paths=frozenset([GEMV])))
    elsewhere = key(GEMV).__class__(key(GEMV).surface, "gemv_4bit_compiled", RAISES, "")
    assert row.hides(key(GEMV, RAISES))
    assert not row.hides(elsewhere)
