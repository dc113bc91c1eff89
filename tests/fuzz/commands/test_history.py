"""What is said about a defect's history, and what is left open."""

from __future__ import annotations

import pytest

from fuzz.commands.history import Trial, sentences
from fuzz.commands.replay import Outcome

OUTCOMES = {"-": Outcome.GONE, "x": Outcome.STILL_THERE, "?": Outcome.COULD_NOT_RUN}


def told(pattern: str, notes: dict[int, str] | None = None) -> list[str]:
    """The sentences on releases 1, 2, 3...: "x" bad, "-" good, "?" could not run."""
    return list(sentences([Trial(str(number), OUTCOMES[sign], (notes or {}).get(number, "")) for number, sign in enumerate(pattern, 1)]))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("x", ["there in every release that was tried"]),
        ("xxx", ["there in every release that was tried"]),
        ("-", ["in none: gone in every release that was tried"]),
        ("---", ["in none: gone in every release that was tried"]),
        ("??", ["none of the releases could be judged (0 of 2)"]),
        ("?x?", ["there in every release that could be judged (1 of 3)"]),
        ("-?-", ["in none: gone in every release that could be judged (2 of 3)"]),
        ("-xx", ["first bad release: 2"]),
        ("xx-", ["first bad release: 1, the oldest that was tried", "fixed since 3"]),
        ("-x--", ["first bad release: 2", "fixed since 3"]),
        ("-x-x", ["first bad release: 2", "gone in 3", "back in 4"]),
        ("x-x-", ["first bad release: 1, the oldest that was tried", "gone in 2", "back in 3", "fixed since 4"]),
        ("-?x", ["first bad release: 3; 2 just before it could not run, where it may be there already"]),
        ("-??x", ["first bad release: 4; 2, 3 just before it could not run, where it may be there already"]),
        (
            "?x?-",
            [
                "first bad release: 2; 1 just before it could not run, where it may be there already",
                "fixed since 4; 3 just before it could not run, where it may be gone already",
            ],
        ),
        (
            "x-?x",
            [
                "first bad release: 1, the oldest that was tried",
                "gone in 2",
                "back in 4; 3 just before it could not run, where it may be back already",
            ],
        ),
        ("-x?", ["first bad release: 2"]),
        ("?-x", ["first bad release: 3"]),
    ],
)
def test_what_follows(pattern: str, expected: list[str]) -> None:
    assert told(pattern) == expected


def test_a_fix_after_which_something_else_goes_wrong_is_told_with_it() -> None:
    note = "but now gemv_4bit failed (hang): silent"
    assert told("x-", {2: note}) == ["first bad release: 1, the oldest that was tried", f"fixed since 2 ({note})"]


def test_releases_of_one_name_are_told_apart() -> None:
    twice = [Trial("1", Outcome.GONE), Trial("1", Outcome.STILL_THERE), Trial("1", Outcome.GONE)]
    assert list(sentences(twice)) == ["first bad release: 1", "fixed since 1"]
