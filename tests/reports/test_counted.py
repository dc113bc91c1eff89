"""Numbers of things in words."""

from __future__ import annotations

import pytest

from reports.counted import counted


@pytest.mark.parametrize(("number", "expected"), [(0, "0 cases"), (1, "1 case"), (2, "2 cases"), (1000, "1000 cases")])
def test_one_is_not_several(number: int, expected: str) -> None:
    assert counted(number, "case") == expected


def test_words_that_have_another_plural_and_another_zero() -> None:
    assert [counted(number, "directory", "directories", none="no") for number in (0, 1, 2)] == [
        "no directories",
        "1 directory",
        "2 directories",
    ]
