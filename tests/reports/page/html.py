"""What a browser would make of a page, as far as tests ask: its elements, and the text between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

VOID: Final = frozenset({"meta", "img", "br", "meter"})


@dataclass(frozen=True)
class Element:
    """A start tag."""

    tag: str
    attributes: dict[str, str]


@dataclass
class Parsed(HTMLParser):
    """A page that was read."""

    source: str
    elements: list[Element] = field(default_factory=list)
    text: str = ""
    stray: list[str] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(str(self.source))  # what is marked as safe would escape the text that is added to it
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self._open or self._open.pop() != tag:
            self.stray.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.stray.append(f"<!--{data}")

    @property
    def unclosed(self) -> list[str]:
        """Elements that were not closed."""
        return self._open

    def all(self, tag: str) -> list[Element]:
        """The elements of one sort, in order."""
        return [element for element in self.elements if element.tag == tag]

    def attributes(self, name: str) -> list[str]:
        """The values of one attribute, wherever it is."""
        return [element.attributes[name] for element in self.elements if name in element.attributes]
