"""Whether Triton's functions can be called is found by looking: at the device, at Triton, at a compiler and at their arguments."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import sys
from collections.abc import Callable
from typing import Any

import pytest

from fuzz.engine.library import inspect_library
from fuzz.engine.triton_functions import MODULE, SIGNATURES, can_be_called
from tests.fuzz.engine import triton_by_hand


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with Triton, a compiler and the functions."""
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: object() if name == "triton" else found(name, *rest))
    monkeypatch.setenv("CC", "cc")
    triton_by_hand.install(monkeypatch)


@pytest.mark.usefixtures("there")
def test_on_a_gpu_with_all_that_it_takes() -> None:
    assert can_be_called("cuda")
    assert not can_be_called("cpu")


@pytest.mark.usefixtures("there")
def test_not_without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    assert not can_be_called("cuda")


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize(("found", "can"), [(None, False), ("/usr/bin/gcc", True)])
def test_not_without_a_compiler(monkeypatch: pytest.MonkeyPatch, found: str | None, can: bool) -> None:  # noqa: FBT001
    monkeypatch.delenv("CC")
    monkeypatch.setattr(shutil, "which", lambda _: found)
    assert can_be_called("cuda") is can


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("error", [ImportError("no such module"), AttributeError("'NoneType' object has no attribute 'type'")])
def test_not_where_their_module_cannot_be_imported(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(_: str) -> None:
        raise error

    monkeypatch.setattr(importlib, "import_module", fail)
    assert not can_be_called("cuda")


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("name", SIGNATURES)
@pytest.mark.parametrize("other", [None, lambda A: A, lambda *arguments: arguments])  # noqa: N803
def test_not_with_other_arguments_than_those_known(monkeypatch: pytest.MonkeyPatch, name: str, other: Callable[..., Any] | None) -> None:
    monkeypatch.setattr(sys.modules[MODULE], name, other)
    assert not can_be_called("cuda")


def test_the_library_on_a_cpu_has_none() -> None:
    assert inspect_library("cpu").triton is False
