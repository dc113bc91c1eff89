"""Durations as users write them, and the clock."""

from __future__ import annotations

import time

import pytest

from fuzz.campaign.budget import Budget, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("10m", 600), ("2h", 7200), ("1.5h", 5400), ("0.5s", 0.5), (" 10m ", 600), ("090s", 90), ("1s\n", 1)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", " ", "10", "s", "-1s", "+1s", "0s", "0.0h", "1d", "1S", "1 s", "1m30s", "1e3s", ".5s", "5.s", "1,5h", "infs", "nanm", "10ss"],
)
def test_what_is_no_duration_is_refused_in_one_sentence_that_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write 30s, 10m or 2h") as caught:
        parse_duration(text)
    assert repr(text) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_budget_counts_down_from_when_it_was_made() -> None:
    budget = Budget(10.0)
    first = budget.left
    time.sleep(0.01)
    assert budget.left < first <= 10
    assert budget.elapsed + budget.left == pytest.approx(10, abs=0.01)
    assert budget.elapsed >= 0.01


def test_a_budget_that_is_used_up_is_negative() -> None:
    assert Budget(1.0, began=time.monotonic() - 5).left == pytest.approx(-4, abs=0.5)
