"""Versions against the supported range."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
from pathlib import Path

import pytest

from fuzz.doctor.line import Mark
from fuzz.doctor.versions import can_compare, compared, supported, versions


@pytest.mark.parametrize(
    ("version", "mark", "words"),
    [
        ("0.50.2", Mark.OK, "0.50.2 (supported: >=0.48,<0.51)"),
        ("0.50.0+standin", Mark.OK, "0.50.0+standin (supported"),
        ("0.50.0rc1", Mark.OK, "0.50.0rc1 (supported"),
        ("0.47.0", Mark.NO, "0.47.0 is too old (supported"),
        ("0.51.0", Mark.WARN, "0.51.0 is newer than what this was run with (supported"),
        ("0.51.0.dev0", Mark.WARN, "0.51.0.dev0 is newer"),
    ],
)
def test_below_the_range_is_no_and_beyond_it_a_warning(version: str, mark: Mark, words: str) -> None:
    line = compared("bitsandbytes", version, ">=0.48,<0.51")
    assert (line.mark, line.stops) == (mark, mark is Mark.NO)
    assert words in line.text


def test_the_ranges_are_those_of_pyproject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pyproject.toml"
    dependencies = '["torch>=2.9", "hypothesis>=6,<7", "pytest>=100"]'
    file.write_text(f'[project]\nrequires-python = ">=3.11"\ndependencies = {dependencies}\n', encoding="utf-8")
    monkeypatch.setattr(platform, "python_version", lambda: "3.10.1")
    lines = {line.subject: line for line in versions(file)}
    assert {name: line.mark for name, line in lines.items()} == {"python": Mark.NO, "hypothesis": Mark.OK, "pytest": Mark.NO}
    assert "3.10.1 is too old (supported: >=3.11)" in lines["python"].text
    assert supported("torch", file) == ">=2.9"


def test_this_environment_is_supported() -> None:
    assert {line.mark for line in versions()} == {Mark.OK}


def test_a_package_that_is_not_installed_stops_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        if name == "hypothesis":
            raise importlib.metadata.PackageNotFoundError(name)
        return "100"

    monkeypatch.setattr(importlib.metadata, "version", missing)
    (line,) = [line for line in versions() if line.stops]
    assert (line.subject, line.mark) == ("hypothesis", Mark.NO)
    assert line.text.startswith("not installed (supported: ")


def test_without_packaging_nothing_can_be_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_compare()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)  # noqa: ARG005
    assert not can_compare()
