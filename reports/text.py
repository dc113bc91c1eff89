"""Text from outside (exception messages, library output, hardware names) made safe for Markdown and scripts."""

from __future__ import annotations

import re


def one_line(text: str) -> str:
    """Text from outside on one line: control characters and line breaks become spaces."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text).strip()


def code(text: str) -> str:
    """Text from outside as inline code, whatever backticks it contains."""
    text = one_line(text) or "(nothing)"
    fence = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    return f"{fence} {text} {fence}" if "`" in text else f"`{text}`"


def block(text: str, language: str = "") -> str:
    """Text from outside as a fenced block, whatever fences it contains."""
    fence = "`" * max(3, max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def cell(text: str) -> str:
    """Text from outside in one cell of a table."""
    return one_line(text).replace("\\", "\\\\").replace("|", "\\|")
