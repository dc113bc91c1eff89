"""The native library, from modules that are made up as upstream makes them."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import bitsandbytes.cextension
import pytest

from fuzz.engine.native import NOTHING_LOADED, Native, native_library


class Placeholder:
    """Like upstream's: every attribute that it does not have is a function that raises."""

    def __init__(self, **members: Any) -> None:
        self.__dict__.update(members)

    def __getattr__(self, name: str) -> Any:
        def throw_on_call(*_: Any) -> None:
            raise RuntimeError(f"Native code method attempted to call: lib.{name}()")

        return throw_on_call


def install(monkeypatch: pytest.MonkeyPatch, **members: Any) -> None:
    module = ModuleType("bitsandbytes.cextension")
    module.__dict__.update(members)
    monkeypatch.setitem(sys.modules, "bitsandbytes.cextension", module)


def test_the_one_that_is_loaded_here_is_a_file_of_the_package() -> None:
    found = native_library()
    assert found.missing == ""
    assert (Path(bitsandbytes.cextension.__file__).parent / found.file).is_file()


@pytest.mark.parametrize(
    ("lib", "expected"),
    [
        (SimpleNamespace(_lib=SimpleNamespace(_name="/a/libbitsandbytes_cuda130.so")), Native("libbitsandbytes_cuda130.so")),
        (Placeholder(error_msg="No compatible CUDA binary found\nmore"), Native(missing="No compatible CUDA binary found")),
        (Placeholder(error_msg=""), NOTHING_LOADED),
        (Placeholder(), NOTHING_LOADED),
    ],
    ids=["loaded", "placeholder", "without words", "without a reason"],
)
def test_what_was_loaded_or_why_nothing_was(monkeypatch: pytest.MonkeyPatch, lib: object, expected: Native) -> None:
    install(monkeypatch, lib=lib)
    assert native_library() == expected


def test_a_package_without_one_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    assert native_library().missing.startswith("this bitsandbytes has none (")
    monkeypatch.setitem(sys.modules, "bitsandbytes.cextension", None)
    assert native_library().missing.startswith("this bitsandbytes has none (")
