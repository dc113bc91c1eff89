"""The table of profiles."""

from __future__ import annotations

import itertools

import pytest

from fuzz.campaign.mixture import Property, enlarged
from fuzz.campaign.profile import DEFAULT, PROFILES
from fuzz.engine.executor import DEFAULT_WATCHDOG
from strategies.cases import cases
from strategies.shapes import MAX_DRAWN_ELEMENTS
from tests.strategies.helpers import draw


def test_each_profile_takes_longer_and_includes_what_the_one_before_does() -> None:
    for shorter, longer in itertools.pairwise(PROFILES.values()):
        assert shorter.budget < longer.budget
        assert shorter.watchdog <= longer.watchdog
        assert (shorter.slow, shorter.large) <= (longer.slow, longer.large)
        assert longer.slow or not shorter.slow
        assert longer.large or not shorter.large


def test_a_run_without_a_profile_is_the_run_that_it_was() -> None:
    profile = PROFILES[DEFAULT]
    assert (profile.budget, profile.watchdog, profile.slow, profile.large) == (60.0, DEFAULT_WATCHDOG, False, False)


@pytest.mark.parametrize("slow", [False, True])
def test_enlarging_a_property_changes_what_is_drawn_and_nothing_else(slow: bool) -> None:  # noqa: FBT001
    (changed,) = enlarged([Property("name", cases(), 3, slow=slow)])
    assert (changed.name, changed.share, changed.slow) == ("name", 3, slow)
    assert max(case.weight.elements for case in draw(changed.strategy, 200)) > MAX_DRAWN_ELEMENTS
