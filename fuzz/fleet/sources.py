"""The sources that the nodes of a cluster are sent, so that all shards run this program and not what a node happens to have."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parents[2]
SENT: Final = ("strategies", "fuzz", "reports", "conftest.py", "pyproject.toml")
"""What `pytest fuzz/` needs."""


@contextlib.contextmanager
def staged() -> Iterator[Path]:
    """A folder with a copy of what is sent, and nothing else: no reports, caches or history.

    Raises:
        OSError: it cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="bnb4-fuzz-") as folder:
        unwanted = shutil.ignore_patterns("__pycache__", ".*", "out")
        for name in SENT:
            source = PROJECT / name
            if source.is_dir():
                shutil.copytree(source, Path(folder) / name, ignore=unwanted)
            else:
                shutil.copy2(source, Path(folder) / name)
        yield Path(folder)
