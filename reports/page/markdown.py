"""The sections of an issue, which are Markdown, as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from reports.page.text import visible

_KNOWN: Final = ("backticks", "escape", "emphasis", "table", "list")
"""What the sections use, and nothing else: no links, pictures or HTML, whatever a library puts into its messages."""


def to_html(text: str) -> Markup:
    """Markdown as HTML. Headers of tables say what they are headers of, and wide tables can be scrolled."""
    markdown = MarkdownIt("zero").enable(list(_KNOWN))
    tokens = list(_with_headers(markdown.parse(visible(text))))
    return Markup(markdown.renderer.render(tokens, markdown.options, {}))  # noqa: S704 - markdown-it escapes what is not in `_KNOWN`


def _with_headers(tokens: Iterable[Token]) -> Iterator[Token]:
    """The tokens with each table in a box, `scope` on its headers, and the first cell of each row as one of them."""
    first = False
    for token in tokens:
        if token.type == "table_open":
            yield Token("box_open", "div", 1, attrs={"class": "scroll", "tabindex": "0"})
        elif token.type == "th_open":
            token.attrSet("scope", "col")
        elif token.type == "tr_open":
            first = True
        elif token.type == "td_open" and first:
            token.tag = "th"
            token.attrSet("scope", "row")
        elif token.type == "td_close" and first:
            token.tag = "th"
            first = False
        yield token
        if token.type == "table_close":
            yield Token("box_close", "div", -1)
