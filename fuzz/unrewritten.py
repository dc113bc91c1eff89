"""Imports Hypothesis as it is, without pytest's rewriting of assertions. Registered before all that imports Hypothesis.

pytest rewrites the modules of every package that has a plugin for it, of which Hypothesis is one: a hundred modules and
1.2 s. It keeps the result, but not where Python writes no bytecode, as in many containers: there each process of a run,
`--collect-only` and `--help` included, would do it again.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder


@contextlib.contextmanager
def _pythons_own_way() -> Iterator[None]:
    """Python's own finder of modules goes before pytest's, which would rewrite what it finds."""
    sys.meta_path.insert(0, PathFinder)
    try:
        yield
    finally:
        sys.meta_path.remove(PathFinder)  # the first of two


with _pythons_own_way():
    importlib.import_module("hypothesis.strategies")
