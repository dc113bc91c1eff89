"""The words for the end of a child."""

from __future__ import annotations

import os

import pytest

from fuzz.engine.child import PROJECT, describe_exit, fork_context


@pytest.mark.parametrize(("code", "words"), [(1, "exit status 1"), (-9, "SIGKILL"), (-6, "SIGABRT"), (None, "did not end")])
def test_describe_exit(code: int | None, words: str) -> None:
    assert describe_exit(code) == words


def test_starting_the_fork_server_leaves_the_environment_alone() -> None:
    before = dict(os.environ)
    fork_context("cpu")
    assert dict(os.environ) == before


def test_children_find_the_project() -> None:
    assert (PROJECT / "fuzz" / "engine" / "child.py").is_file()
