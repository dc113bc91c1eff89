"""Text from outside (exception messages, library output, hardware names) made safe for Markdown and scripts."""

from __future__ import annotations

import re
from typing import Final

_MARKUP: Final = re.compile(r"[\\`*\[\]<>|~&#]|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown may take for markup within a line. Underscores within words are none: GitHub leaves names alone."""

_NOTIFIES: Final = re.compile(r"@[\w-]|#\d|\bGH-\d|:[\w+-]+:|\$", re.IGNORECASE)
"""What GitHub turns into a mention of a person, a reference to an issue, a picture or a formula, with or without a backslash."""

LONGEST: Final = 500
"""Characters of one text within a line or a cell: enough for an exception message, and a reader sees the rest of the issue."""

_NOTE: Final = " ... ({} more characters)"

_MOST_LINES: Final = 40
_MOST_CHARACTERS: Final = 6000
"""What is kept of an output. GitHub takes 65,536 characters of an issue, and a reader less."""


def one_line(text: str) -> str:
    """Text from outside on one line: what cannot be printed, line breaks among it, becomes spaces."""
    return re.sub(r"\0+", " ", "".join(char if char.isprintable() else "\0" for char in text)).strip()


def short(text: str, most: int = LONGEST) -> str:
    """Text from outside on one line of at most `most` characters; a note says how many more there were."""
    line = one_line(text)
    if len(line) <= most:
        return line
    kept = most - len(_NOTE.format(len(line)))
    return line[:kept] + _NOTE.format(len(line) - kept)


def excerpt(text: str) -> str:
    """The output of a program: its beginning and its end, with a note about what is left out between them.

    What cannot be printed, line breaks aside, becomes U+FFFD: it would be a command to a terminal or turn the text around.
    """
    clean = "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in re.sub(r"\r\n?", "\n", text)).rstrip()
    lines = clean.split("\n")
    if len(lines) > _MOST_LINES:
        half = _MOST_LINES // 2
        lines = [*lines[:half], f"... ({len(lines) - 2 * half} lines left out)", *lines[-half:]]
    clean = "\n".join(lines)
    if len(clean) > _MOST_CHARACTERS:
        half = _MOST_CHARACTERS // 2
        return f"{clean[:half]}\n... ({len(clean) - 2 * half} characters left out)\n{clean[-half:]}"
    return clean


def code(text: str) -> str:
    """Text from outside as inline code, whatever backticks it contains."""
    text = short(text) or "(nothing)"
    fence = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    return f"{fence} {text} {fence}" if "`" in text else f"`{text}`"


def prose(text: str) -> str:
    """Text from outside within a line of prose: markup is escaped, and what would notify someone is inline code."""
    line = short(text)
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
