"""Python and the packages that a run needs, against the range that pyproject.toml supports."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fuzz.doctor.line import Line, no, ok, warn

PYPROJECT: Final = Path(__file__).resolve().parents[2] / "pyproject.toml"

IN_THE_CHILD: Final = ("bitsandbytes", "torch")
"""Packages whose version a child tells: what it imports counts, and not what is installed."""


def can_compare() -> bool:
    """Whether the package is there that compares versions; much of a run imports it."""
    return importlib.util.find_spec("packaging") is not None


def versions(pyproject: Path = PYPROJECT) -> Iterator[Line]:
    """Python, and each package that a run needs in this process; `can_compare` must hold."""
    from packaging.requirements import Requirement  # noqa: PLC0415 - it may be missing

    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    yield compared("python", platform.python_version(), project["requires-python"])
    for requirement in map(Requirement, project["dependencies"]):
        if requirement.name not in IN_THE_CHILD:
            yield _installed(requirement.name, str(requirement.specifier))


def supported(package: str, pyproject: Path = PYPROJECT) -> str:
    """The range of versions of a package that pyproject.toml supports."""
    from packaging.requirements import Requirement  # noqa: PLC0415 - it may be missing

    dependencies = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["dependencies"]
    return next(str(item.specifier) for item in map(Requirement, dependencies) if item.name == package)


def _installed(package: str, supported: str) -> Line:
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return no(package, f"not installed (supported: {supported})", stops=True)
    return compared(package, version, supported)


def compared(subject: str, version: str, supported: str) -> Line:
    """A version against a range: below it nothing can be expected to run, beyond it nobody has looked yet."""
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - it may be missing
    from packaging.version import Version  # noqa: PLC0415

    specifiers = SpecifierSet(supported)
    if specifiers.contains(version, prereleases=True):
        return ok(subject, f"{version} (supported: {supported})")
    if any(item.operator == ">=" and Version(version) < Version(item.version) for item in specifiers):
        return no(subject, f"{version} is too old (supported: {supported})", stops=True)
    return warn(subject, f"{version} is newer than what this was run with (supported: {supported})")
