"""Which files of a directory have changed since it was looked at before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

LEFT_OUT: Final = ".html"
"""Suffix of pages, which are made again of the merged run."""

RECORDS: Final = ("finding.json", "run.json")
"""What is told of last: what these name is told of then."""


class Changed:
    """Looks at a directory again and again.

    Args:
        root: the directory; it need not be there yet.
        most: characters that are told of at a time, but at least one file.
    """

    def __init__(self, root: Path, most: int) -> None:
        self._root, self._most = root, most
        self._seen: dict[Path, tuple[int, int]] = {}

    def files(self, *, whole: bool = False) -> tuple[dict[str, str], bool]:
        """Texts of files that are new or have changed, by their names in the directory, and whether that is all of them.

        What is being written is left out.

        Args:
            whole: whether all files count as new.

        Raises:
            OSError: a file that is there cannot be read.
        """
        if whole:
            self._seen.clear()
        found: dict[str, str] = {}
        length = 0
        for path, stamp, text in self._changes():
            length += len(text)
            if found and length > self._most:
                return found, False
            found[path.relative_to(self._root).as_posix()] = text
            self._seen[path] = stamp
        return found, True

    def _changes(self) -> Iterator[tuple[Path, tuple[int, int], str]]:
        """Files with what tells a change, as it was before they were read: what is added meanwhile is a change again."""
        there = (path for path in self._root.rglob("*") if path.suffix != LEFT_OUT and not path.name.startswith("."))
        for path in sorted(there, key=lambda path: (path.name in RECORDS, path)):
            try:
                status = path.stat()
                stamp = (status.st_mtime_ns, status.st_size)
                if path.is_file() and self._seen.get(path) != stamp:
                    yield path, stamp, path.read_text(encoding="utf-8", errors="replace")
            except FileNotFoundError:
                continue
