"""The table of profiles."""

from __future__ import annotations

import itertools

import pytest

from fuzz.campaign.mixture import Property, resized
from fuzz.campaign.profile import DEFAULT, PROFILES
from fuzz.engine.executor import DEFAULT_WATCHDOG
from strategies.activations import MAX_DRAWN_ROWS
from strategies.cases import cases
from strategies.shapes import MAX_DRAWN_ELEMENTS
from tests.strategies.helpers import draw


def test_each_profile_takes_longer_and_includes_what_the_one_before_does() -> None:
    for shorter, longer in itertools.pairwise(profile for profile in PROFILES.values() if not profile.giant):
        assert shorter.budget < longer.budget
        assert shorter.watchdog <= longer.watchdog
        assert longer.slow or not shorter.slow
        assert longer.wide or not shorter.wide
        assert longer.large or not shorter.large


def test_giants_have_a_profile_of_their_own() -> None:
    assert [name for name, profile in PROFILES.items() if profile.giant] == ["giant"]
    giant = PROFILES["giant"]
    assert (giant.slow, giant.wide, giant.large) == (False, False, False)
    assert giant.watchdog > DEFAULT_WATCHDOG


def test_a_run_without_a_profile_is_the_run_that_it_was() -> None:
    profile = PROFILES[DEFAULT]
    assert (profile.budget, profile.watchdog) == (60.0, DEFAULT_WATCHDOG)
    assert (profile.slow, profile.wide, profile.large) == (False, False, False)


@pytest.mark.parametrize("slow", [False, True])
def test_enlarging_a_property_changes_what_is_drawn_and_nothing_else(slow: bool) -> None:  # noqa: FBT001
    (changed,) = resized([Property("name", cases(), 3, slow=slow)], wide=False, large=True)
    assert (changed.name, changed.share, changed.slow) == ("name", 3, slow)
    assert max(case.weight.elements for case in draw(changed.strategy, 200)) > MAX_DRAWN_ELEMENTS


def test_wide_cases_are_drawn_where_they_are_asked_for() -> None:
    one = Property("name", cases())
    assert resized([one], wide=False, large=False) == [one]
    (wide,) = resized([one], wide=True, large=False)
    rows = [case.activation.rows for case in draw(wide.strategy, 2000)]
    assert sum(row > MAX_DRAWN_ROWS for row in rows) < 40
    assert max(rows) > 2 * MAX_DRAWN_ROWS
