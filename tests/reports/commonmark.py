"""What a parser of CommonMark, with GitHub's tables, makes of a text: a structure, and the texts in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

_NOTIFIES = re.compile(r"@\w|#\d|\bGH-\d|:[\w+-]+:|\$", re.IGNORECASE)
"""What GitHub acts on outside of code, though it is no markup of CommonMark."""

_PLAIN = frozenset({"text", "code_inline", "softbreak", "strong_open", "strong_close"})
"""All that may be in a line of an issue; strong is what the issue itself sets."""


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed text.

    Attributes:
        structure: the blocks in their order: what kind, and which HTML tag they become.
        lines: what each line, heading and cell shows, without markup.
        fences: what is in the fenced blocks.
        html: the blocks of HTML, comments among them.
    """

    structure: tuple[tuple[str, str], ...]
    lines: tuple[str, ...]
    fences: tuple[str, ...]
    html: tuple[str, ...]


def read(text: str) -> Document:
    """Parse a text.

    Raises:
        AssertionError: a line holds markup other than code, or something that GitHub would act on.
    """
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    return Document(
        structure=tuple((token.type, token.tag) for token in tokens),
        lines=tuple(line for token in tokens if token.type == "inline" for line in _shown(token)),
        fences=tuple(token.content for token in tokens if token.type == "fence"),
        html=tuple(token.content for token in tokens if token.type == "html_block"),
    )


def _shown(token: Token) -> Iterator[str]:
    line = ""
    for child in token.children or ():
        assert child.type in _PLAIN, f"{child.type} in {token.content!r}"
        assert child.type != "text" or not _NOTIFIES.search(child.content), f"{child.content!r} is not left alone by GitHub"
        if child.type == "softbreak":
            yield line
            line = ""
        line += child.content
    yield line
