"""Sites: directories that each hold one release of bitsandbytes, to be put first on PYTHONPATH."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import Final

from packaging.version import InvalidVersion, Version

PACKAGE: Final = "bitsandbytes"
OLDEST: Final = Version("0.48.0")
"""The first release that this program runs with; where an open range begins."""

_AVAILABLE: Final = re.compile(r"^Available versions:(.*)$", re.MULTILINE)
_VERSION: Final = re.compile(r"""^__version__\s*=\s*["']([^"']+)["']""", re.MULTILINE)


class SiteError(RuntimeError):
    """A release that cannot be had, in one sentence."""


@dataclass(frozen=True, slots=True)
class Site:
    """A directory that holds the package, and the name of its release."""

    label: str
    path: Path


def given_sites(paths: Sequence[Path]) -> list[Site]:
    """The sites in the directories `paths`, oldest release first; those without a version come last, in their order.

    Raises:
        SiteError: a directory does not contain the package, so that another release would be imported in its place.
    """
    for path in paths:
        if not (path / PACKAGE / "__init__.py").is_file():
            raise SiteError(f"{path} does not contain the package {PACKAGE}")
    labels = [release_of(path) for path in paths]
    many = Counter(labels)
    sites = [Site(label if many[label] == 1 else f"{label} ({path})", path.resolve()) for label, path in zip(labels, paths, strict=True)]
    versions = [parsed(label) for label in labels]
    dated = [(version, number) for number, version in enumerate(versions) if version is not None]
    undated = [number for number, version in enumerate(versions) if version is None]
    return [sites[number] for number in (*(number for _, number in sorted(dated)), *undated)]


def release_of(site: Path) -> str:
    """The release in a site: by its metadata, else by the package's `__version__`, else the directory's name."""
    for metadata in sorted(site.glob(f"{PACKAGE}-*.dist-info/METADATA")):
        if version := HeaderParser().parsestr(metadata.read_text(encoding="utf-8", errors="replace")).get("Version"):
            return str(version)
    found = _VERSION.search((site / PACKAGE / "__init__.py").read_text(encoding="utf-8", errors="replace"))
    return found[1] if found else site.resolve().name


def parsed(text: str) -> Version | None:
    """`text` as a version; None if it is none."""
    try:
        return Version(text)
    except InvalidVersion:
        return None


@dataclass(frozen=True, slots=True)
class Releases:
    """A range of releases, both ends included; `last` None: up to the newest."""

    first: Version
    last: Version | None

    def __str__(self) -> str:
        if self.first == self.last:
            return str(self.first)
        return f"{self.first}..{'' if self.last is None else self.last}"

    def __contains__(self, version: Version) -> bool:
        return self.first <= version and (self.last is None or version <= self.last)


def parse_releases(text: str) -> Releases:
    """The range that "0.48.0..0.50.2" means. An open end is the oldest release that can run here, or the newest there is.

    Raises:
        ValueError: neither a range nor one release, or a range from new to old.
    """
    first, dots, last = text.strip().partition("..")
    ends = [parsed(end) for end in ((first, last) if dots else (first, first))]
    if any(end is None and written for end, written in zip(ends, (first, last), strict=True)) or not (first or last):
        raise ValueError(f"{text!r} is not a range of releases; write 0.48.0..0.50.2, 0.49.0.. or 0.50.2")
    releases = Releases(ends[0] or OLDEST, ends[1])
    if releases.last is not None and releases.last < releases.first:
        raise ValueError(f"{text!r} is a range from {releases.first} down to {releases.last}; the older release comes first")
    return releases


def listed(releases: Releases) -> list[Version]:
    """The releases of a range that the package index has, oldest first.

    Raises:
        SiteError: the index cannot be asked, or has none of them.
    """
    found = _AVAILABLE.search(_pip("index", "versions", PACKAGE))
    if found is None:
        raise SiteError(f"pip index did not list the releases of {PACKAGE}")
    versions = (parsed(text.strip()) for text in found[1].split(","))
    chosen = sorted(version for version in versions if version is not None and version in releases)
    if not chosen:
        raise SiteError(f"the package index has no release {releases} of {PACKAGE}")
    return chosen


def default_cache() -> Path:
    """Where releases are installed unless a user says otherwise."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bnb4-fuzz"


def installed(version: Version, cache: Path) -> Site:
    """The site of a release in `cache`; it is installed there if it is not complete yet.

    It is installed beside its place and then renamed, so that what is there is complete whenever this program is killed.

    Raises:
        SiteError: it cannot be installed, with pip's last words.
    """
    place = cache.resolve() / f"{PACKAGE}-{version}"
    if _is_complete(place, version):
        return Site(str(version), place)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent) as temporary:
            fresh = Path(temporary) / place.name
            _pip("install", "--no-deps", "--quiet", "--target", str(fresh), f"{PACKAGE}=={version}")
            if not _is_complete(fresh, version):
                raise SiteError(f"pip installed something else than {PACKAGE} {version}")
            _move(fresh, place, version)
    except OSError as error:
        raise SiteError(f"cannot write to {place.parent}: {error.strerror}") from None
    return Site(str(version), place)


def _move(fresh: Path, place: Path, version: Version) -> None:
    if place.exists() and not _is_complete(place, version):
        shutil.rmtree(place)
    try:
        fresh.rename(place)
    except OSError:
        if not _is_complete(place, version):  # otherwise another process was faster, and its work is as good
            raise


def _is_complete(site: Path, version: Version) -> bool:
    return (site / PACKAGE / "__init__.py").is_file() and parsed(release_of(site)) == version


def _pip(*arguments: str) -> str:
    """What pip prints.

    Raises:
        SiteError: it failed, with its last line.
    """
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603 - our own arguments
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or done.stderr.splitlines() or [""]
        raise SiteError(f"pip {arguments[0]} failed: {errors[-1].removeprefix('ERROR:').strip()}")
    return done.stdout
