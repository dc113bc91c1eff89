"""What a process imports that only collects: no more than it needs, and nothing that pytest would have to rewrite."""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path

import hypothesis.core
import pytest

from fuzz import plugin

PROJECT = Path(__file__).resolve().parents[2]

SAYING = """
import sys, pytest
status = pytest.main([*sys.argv[1:], "-p", "no:cacheprovider"])
print("imported:", *sorted({name.partition(".")[0] for name in sys.modules}))
sys.exit(status)
"""
"""Runs pytest and says which packages it has imported."""


@pytest.mark.parametrize("arguments", [["fuzz/", "--collect-only", "-q"], ["--help"]], ids=["collect-only", "help"])
def test_what_only_collects_imports_no_library_that_only_a_run_or_a_report_needs(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", SAYING, *arguments], cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("imported:")]
    imported = set(line.split())
    assert {"fuzz", "strategies", "hypothesis"} <= imported
    assert not imported & {"torch", "bitsandbytes", "matplotlib", "jinja2", "markdown_it", "numpy"}


def test_hypothesis_is_not_rewritten() -> None:
    assert type(hypothesis.core.__loader__) is SourceFileLoader


def test_what_is_the_project_s_own_still_is() -> None:
    assert "Rewriting" in type(plugin.__loader__).__name__


def test_python_s_own_finder_is_back_in_its_place() -> None:
    """Before it comes pytest's, which rewrites the assertions of the tests."""
    (pytests,) = [index for index, finder in enumerate(sys.meta_path) if "Rewriting" in type(finder).__name__]
    assert sys.meta_path.count(PathFinder) == 1
    assert pytests < sys.meta_path.index(PathFinder)
