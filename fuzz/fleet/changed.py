"""Which files of a directory have changed since it was looked at before."""

from __future__ import annotations

from pathlib import Path
from typing import Final

LEFT_OUT: Final = ".html"
"""Suffix of pages, which are made again of the merged run."""


class Changed:
    """Looks at a directory again and again.

    Args:
        root: the directory; it need not be there yet.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen: dict[Path, tuple[int, int]] = {}

    def files(self, *, whole: bool = False) -> dict[str, str]:
        """Texts of the files that are new or have changed, by their names in the directory. What is being written is left out.

        Args:
            whole: whether all files count as new.

        Raises:
            OSError: a file that is there cannot be read.
        """
        if whole:
            self._seen.clear()
        found: dict[str, str] = {}
        for path in sorted(path for path in self._root.rglob("*") if path.suffix != LEFT_OUT and not path.name.startswith(".")):
            try:
                status = path.stat()
                if path.is_file() and self._seen.get(path) != (status.st_mtime_ns, status.st_size):
                    found[path.relative_to(self._root).as_posix()] = path.read_text(encoding="utf-8", errors="replace")
                    # As it was before it was read: what is added meanwhile is a change.
                    self._seen[path] = (status.st_mtime_ns, status.st_size)
            except FileNotFoundError:
                continue
        return found
