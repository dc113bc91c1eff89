"""Text from outside made safe to look at: nothing in it is markup, moves a cursor or turns a line around."""

from __future__ import annotations

import unicodedata
from typing import Any, Final

from markupsafe import Markup

LONGEST: Final = 20_000
"""Characters of one text that a page shows: the longest scripts have half of that."""

_KEPT: Final = frozenset("\n\t")
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories of what is not seen, or has no meaning, or turns the text that follows around."""


def visible(text: str) -> str:
    """The text with what cannot be seen written as U+FFFD, and cut if it is longer than `LONGEST`."""
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]} ... ({len(text)} characters in all)"
    if shown.isprintable():
        return shown
    return "".join("\N{REPLACEMENT CHARACTER}" if _is_unseen(char) else char for char in shown)


def shown(value: Any) -> Any:
    """What a template writes for `value`; markup that this package made passes."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _is_unseen(char: str) -> bool:
    return char not in _KEPT and unicodedata.category(char) in _UNSEEN
