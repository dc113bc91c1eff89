"""Text from outside (exception messages, library output, hardware names) made safe for Markdown and scripts."""

from __future__ import annotations

import re
from typing import Final

_MARKUP: Final = re.compile(r"[\\`*\[\]<>|~&#]|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown may take for markup within a line. Underscores within words are none: GitHub leaves names alone."""

_NOTIFIES: Final = re.compile(r"@[\w-]|#\d|:[\w+-]+:")
"""What GitHub turns into a mention of a person, a reference to an issue or a picture, with or without a backslash."""


def one_line(text: str) -> str:
    """Text from outside on one line: what cannot be printed, line breaks among it, becomes spaces."""
    return re.sub(r"\0+", " ", "".join(char if char.isprintable() else "\0" for char in text)).strip()


def code(text: str) -> str:
    """Text from outside as inline code, whatever backticks it contains."""
    text = one_line(text) or "(nothing)"
    fence = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    return f"{fence} {text} {fence}" if "`" in text else f"`{text}`"


def prose(text: str) -> str:
    """Text from outside within a line of prose: markup is escaped, and what would notify someone is inline code."""
    line = one_line(text)
    return code(line) if not line or _NOTIFIES.search(line) else _MARKUP.sub(r"\\\g<0>", line)


def block(text: str, language: str = "") -> str:
    """Text from outside as a fenced block, whatever fences it contains."""
    fence = "`" * max(3, max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def cell(text: str) -> str:
    """Text from outside as prose in one cell of a table."""
    line = prose(text)
    return code_cell(text) if line == code(text) else line


def code_cell(text: str) -> str:
    """Text from outside as inline code in one cell of a table, where a bar ends the cell unless there is a backslash before."""
    return code(text).replace("|", "\\|")
