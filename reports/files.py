"""Writes files so that a reader never sees half of one, whenever the writer is killed."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Final

HALVES: Final = "backslashreplace"
"""What becomes of half a surrogate pair, which a library's message may contain and a file cannot: an escape, which JSON reads back."""


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically: a new file beside it, then a rename.

    Raises:
        OSError: the folder cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors=HALVES) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, data: Any) -> None:
    """Write `data` as indented JSON, atomically."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def append_json_line(path: Path, data: Any) -> None:
    """Add one line of JSON and flush it to the operating system, which keeps it if this process is killed.

    Half a line that a killed writer left is ended first, so that it spoils nothing but itself.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n"
    with open(path, "a+b") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            line = line if file.read() == b"\n" else "\n" + line
        file.write(line.encode(errors=HALVES))
