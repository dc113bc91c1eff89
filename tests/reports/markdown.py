"""As much of CommonMark and of GitHub's tables as is needed to see where text ends up."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE_END = re.compile(r"\r\n|\n|\r")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


@dataclass(frozen=True)
class Block:
    """A fenced block: what is behind its first fence, and the lines between the fences."""

    info: str
    lines: tuple[str, ...]


def lines_of(text: str) -> list[str]:
    """Lines by the line endings of CommonMark, which are fewer than Python's."""
    return _LINE_END.split(text)


def parse(text: str) -> tuple[list[str], list[Block]]:
    """The lines outside of fenced blocks, and the blocks. A fence that is not closed holds all that follows."""
    outside: list[str] = []
    blocks: list[Block] = []
    held: list[str] = []
    fence = info = ""
    for line in lines_of(text):
        found = _FENCE.fullmatch(line)
        if not fence and found and not (found[1][0] == "`" and "`" in found[2]):
            fence, info, held = found[1], found[2].strip(), []
        elif fence and found and found[1].startswith(fence) and not found[2].strip():
            blocks.append(Block(info, tuple(held)))
            fence = ""
        elif fence:
            held.append(line)
        else:
            outside.append(line)
    if fence:
        blocks.append(Block(info, tuple(held)))
    return outside, blocks


def code_spans(line: str) -> tuple[list[str], str]:
    """The contents of the code spans of a line, and the line with a `0` in place of each."""
    spans: list[str] = []
    rest, place = "", 0
    for opening in re.finditer(r"(?<!`)`+(?!`)", line):
        if opening.start() < place:
            continue
        closing = re.compile(rf"(?<!`){opening[0]}(?!`)").search(line, opening.end())
        if closing is None:
            continue
        content = line[opening.end() : closing.start()]
        if len(content) > 1 and content[0] == content[-1] == " " and content.strip(" "):
            content = content[1:-1]
        spans.append(content)
        rest += line[place : opening.start()] + "0"
        place = closing.end()
    return spans, rest + line[place:]


def cells(row: str) -> list[str]:
    """The cells of a table's row: pipes divide them, in code spans too, unless there is a backslash before."""
    parts = re.split(r"(?<!\\)\|", row.strip())
    return [part.strip() for part in parts[1:-1]]


def rendered(line: str, *, in_table: bool = False) -> str:
    """The text that a line shows, code spans and escapes resolved.

    Raises:
        AssertionError: something in it is markup, or notifies someone.
    """
    text = line.replace("\\|", "|") if in_table else line
    shown, place = "", 0
    while place < len(text):
        char = text[place]
        if char == "\\" and text[place + 1 : place + 2] in _PUNCTUATION and place + 1 < len(text):
            shown += text[place + 1]
            place += 2
        elif char == "`":
            content, place = _span(text, place)
            shown += content
        else:
            assert char not in (_MARKUP.replace("|", "") if in_table else _MARKUP), f"{char} at {place} of {line!r} is markup"
            assert char != "_" or _in_word(text, place), f"underscore at {place} of {line!r} is markup"
            assert not re.match(r"@\w|:[\w+-]+:", text[place:]), f"{text[place:]!r} notifies someone"
            shown += char
            place += 1
    return shown


_MARKUP = "*[]<>~&#|"
_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"


def _span(text: str, place: int) -> tuple[str, int]:
    """The content of the code span that begins at `place`, and where it ends."""
    opening = re.match(r"`+", text[place:])
    assert opening is not None
    closing = re.search(rf"(?<!`){opening[0]}(?!`)", text[place + opening.end() :])
    assert closing is not None, f"a code span of {text!r} is not closed"
    content = text[place + opening.end() :][: closing.start()]
    if len(content) > 1 and content[0] == content[-1] == " " and content.strip(" "):
        content = content[1:-1]
    return content, place + opening.end() + closing.end()


def _in_word(text: str, place: int) -> bool:
    return place > 0 and text[place - 1].isalnum() and text[place + 1 : place + 2].isalnum()
