"""Text from outside, to be looked at."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from reports.page.text import LONGEST, shown, visible


def test_what_can_be_seen_stays() -> None:
    assert visible("a\n\tb é 漢 <b> `x`") == "a\n\tb é 漢 <b> `x`"


def test_what_cannot_be_seen_is_marked() -> None:
    assert visible("a\x00\x1b[31m\u202eb\ud800\u2028") == "a��[31m�b��"


def test_very_long_text_is_cut_and_says_so() -> None:
    assert visible("x" * (LONGEST + 1)) == f"{'x' * LONGEST} ... ({LONGEST + 1} characters in all)"
    assert visible("x" * LONGEST) == "x" * LONGEST


@given(st.text(st.characters(exclude_categories=()), max_size=50))
def test_nothing_of_it_is_a_control_character(text: str) -> None:
    seen = visible(text)
    assert len(seen) == len(text)
    assert all(char in "\n\t" or unicodedata.category(char)[0] != "C" for char in seen)
    seen.encode()


def test_a_template_gets_text_made_visible_and_markup_as_it_is() -> None:
    assert shown("\x00") == "�"
    assert shown(Markup("<b>\x00</b>")) == Markup("<b>\x00</b>")
    assert shown(7) == 7
