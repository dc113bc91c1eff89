"""Where compute-sanitizer is looked for, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.sanitizer import locate

PLACES = ("PATH", "home/bin", "toolkit", "site/nvidia/cu13/bin", "site/nvidia/cu12/bin")
"""In the order in which they are looked at."""


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which only these places exist."""
    monkeypatch.setenv("PATH", str(tmp_path / "PATH"))
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(locate, "TOOLKIT", tmp_path / "toolkit")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    (tmp_path / "site" / "nvidia").mkdir(parents=True)


def install(folder: Path, mode: int = 0o755) -> Path:
    file = folder / "compute-sanitizer"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("#!/bin/sh\n", encoding="utf-8")
    file.chmod(mode)
    return file


def test_every_place_is_looked_at_and_the_first_counts(tmp_path: Path) -> None:
    assert locate.find() is None
    for place in reversed(PLACES):
        file = install(tmp_path / place)
        assert locate.find() == file


def test_a_file_that_may_not_be_executed_is_none(tmp_path: Path) -> None:
    install(tmp_path / "site" / "nvidia" / "cu13" / "bin", mode=0o644)
    assert locate.find() is None


def test_without_a_toolkit_in_the_environment_and_without_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_HOME")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    for place in PLACES[1:2] + PLACES[3:]:
        install(tmp_path / place)
    assert locate.find() is None
    assert "PATH" in locate.missing()
