"""Directories that hold a release: found, named, sorted, and installed with a `pip` that is none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from packaging.version import Version

from fuzz.commands import sites
from fuzz.commands.sites import Releases, SiteError, default_cache, given_sites, installed, listed, parse_releases, release_of

INDEX = "bitsandbytes (0.50.2)\nAvailable versions: 0.50.2, 0.50.0, 0.49.10, 0.49.2, 0.48.0, 0.47.0, 0.41.3.post2\n  INSTALLED: 0.50.2\n"


def make(site: Path, version: str | None = None, source: str = "") -> Path:
    """A site: metadata of `version` unless None, and a package with `source`."""
    (site / "bitsandbytes").mkdir(parents=True)
    (site / "bitsandbytes" / "__init__.py").write_text(source, encoding="utf-8")
    if version is not None:
        folder = site / f"bitsandbytes-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: bitsandbytes\nVersion: {version}\n\nVersion: 9\n", encoding="utf-8")
    return site


def test_a_release_is_named_by_its_metadata_else_by_its_source_else_by_its_directory(tmp_path: Path) -> None:
    assert release_of(make(tmp_path / "a", "0.49.2", '__version__ = "0.1"\n')) == "0.49.2"
    assert release_of(make(tmp_path / "b", source="import x\n__version__ = '0.50.0+mine'\n")) == "0.50.0+mine"
    assert release_of(make(tmp_path / "main")) == "main"


def test_sites_are_sorted_by_version_and_not_by_letters(tmp_path: Path) -> None:
    names = ["0.50.2", "0.49.10", "0.48.0", "0.49.2"]
    found = given_sites([*(make(tmp_path / name, name) for name in names), make(tmp_path / "z"), make(tmp_path / "a")])
    assert [site.label for site in found] == ["0.48.0", "0.49.2", "0.49.10", "0.50.2", "z", "a"]
    assert found[0].path == tmp_path / "0.48.0"


def test_two_sites_of_one_release_are_told_apart(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one", "0.49.2"), make(tmp_path / "two", "0.49.2")
    assert [site.label for site in given_sites([one, two])] == [f"0.49.2 ({one})", f"0.49.2 ({two})"]


def test_a_relative_site_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "site", "0.49.2")
    monkeypatch.chdir(tmp_path)
    assert given_sites([Path("site")])[0].path == tmp_path / "site"


def test_a_directory_without_the_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=rf"^{tmp_path} does not contain the package bitsandbytes$"):
        given_sites([tmp_path])


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("0.48.0..0.50.2", "0.48.0", "0.50.2"),
        ("0.49..0.49", "0.49", "0.49"),
        ("0.49.2", "0.49.2", "0.49.2"),
        (" 0.49.2.. ", "0.49.2", None),
        ("..0.49", "0.48.0", "0.49"),
    ],
)
def test_a_range_of_releases(text: str, first: str, last: str | None) -> None:
    assert parse_releases(text) == Releases(Version(first), None if last is None else Version(last))


@pytest.mark.parametrize("text", ["", "..", "new", "0.48.0..new", "new..0.49", "0.48...0.49", "0.48.0-0.49", "0.48.0..0.49..0.50"])
def test_what_is_no_range_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a range of releases; write 0\.48\.0\.\.0\.50\.2"):
        parse_releases(text)


@pytest.mark.parametrize("text", ["0.50..0.48", "..0.47"])
def test_a_range_from_new_to_old_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the older release comes first"):
        parse_releases(text)


class Pip:
    """Stands in for `python -m pip`: answers `index` and lets a function do the installation."""

    def __init__(self, install: Callable[[Path], object] = lambda target: None, *, index: str = INDEX, status: int = 0) -> None:  # noqa: ARG005
        self.install, self.index, self.status = install, index, status
        self.commands: list[list[str]] = []

    def __call__(self, command: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert list(command[:3]) == [sys.executable, "-m", "pip"]
        words = [word for word in command[3:] if word not in {"--disable-pip-version-check", "--no-input", "--quiet"}]
        self.commands.append(words)
        if words[0] == "install" and not self.status:
            self.install(Path(words[words.index("--target") + 1]))
        stdout = self.index if words[0] == "index" else ""
        stderr = (
            "WARNING: much\nERROR: No matching distribution found for it\nWARNING: more\n" if self.status else "WARNING: experimental\n"
        )
        return subprocess.CompletedProcess(command, self.status, stdout, stderr)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Pip], Pip]:
    def use_pip(pip: Pip) -> Pip:
        monkeypatch.setattr(sites.subprocess, "run", pip)  # type: ignore[attr-defined]
        return pip

    return use_pip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.48.0..0.50.2", ["0.48.0", "0.49.2", "0.49.10", "0.50.0", "0.50.2"]),
        ("0.49.3..", ["0.49.10", "0.50.0", "0.50.2"]),
        ("..0.49.2", ["0.48.0", "0.49.2"]),
        ("0.41..0.47.0", ["0.41.3.post2", "0.47.0"]),
        ("0.50.2", ["0.50.2"]),
    ],
)
def test_the_releases_of_a_range_come_from_the_index_oldest_first(use: Callable[[Pip], Pip], text: str, expected: list[str]) -> None:
    pip = use(Pip())
    assert [str(version) for version in listed(parse_releases(text))] == expected
    assert pip.commands == [["index", "versions", "bitsandbytes"]]


@pytest.mark.parametrize(
    ("pip", "text", "sentence"),
    [
        (Pip(), "0.60..0.61", r"^the package index has no release 0\.60\.\.0\.61 of bitsandbytes$"),
        (Pip(), "0.60..", r"^the package index has no release 0\.60\.\. of bitsandbytes$"),
        (Pip(), "0.49.3", r"^the package index has no release 0\.49\.3 of bitsandbytes$"),
        (Pip(index="nothing\n"), "0.48..", "^pip index did not list the releases of bitsandbytes$"),
        (Pip(status=1), "0.48..", "^pip index failed: No matching distribution found for it$"),
    ],
)
def test_an_index_without_an_answer_is_one_sentence(use: Callable[[Pip], Pip], pip: Pip, text: str, sentence: str) -> None:
    use(pip)
    with pytest.raises(SiteError, match=sentence):
        listed(parse_releases(text))


def test_a_release_is_installed_once(tmp_path: Path, use: Callable[[Pip], Pip]) -> None:
    pip = use(Pip(lambda target: make(target, "0.49.2")))
    cache = tmp_path / "deep" / "cache"
    site = installed(Version("0.49.2"), cache)
    assert (site.label, site.path) == ("0.49.2", cache / "bitsandbytes-0.49.2")
    assert (site.path / "bitsandbytes" / "__init__.py").is_file()
    assert installed(Version("0.49.2"), cache) == site
    (command,) = pip.commands
    assert command[:2] == ["install", "--no-deps"]
    assert command[-1] == "bitsandbytes==0.49.2"
    assert [path.name for path in cache.iterdir()] == ["bitsandbytes-0.49.2"]


def test_while_it_is_installed_its_place_is_empty(tmp_path: Path, use: Callable[[Pip], Pip]) -> None:
    def killed(target: Path) -> None:
        make(target, "0.49.2")
        assert target.parent.parent == tmp_path  # on the same file system, where a rename is all or nothing
        assert not (tmp_path / "bitsandbytes-0.49.2").exists()
        raise KeyboardInterrupt

    use(Pip(killed))
    with pytest.raises(KeyboardInterrupt):
        installed(Version("0.49.2"), tmp_path)
    assert not (tmp_path / "bitsandbytes-0.49.2").exists()


def test_what_a_killed_run_left_is_no_obstacle(tmp_path: Path, use: Callable[[Pip], Pip]) -> None:
    make(tmp_path / ".bitsandbytes-0.49.2.left" / "bitsandbytes-0.49.2", "0.49.2")
    make(tmp_path / "bitsandbytes-0.49.2")  # somebody's copy, without metadata: what it holds is not known
    pip = use(Pip(lambda target: make(target, "0.49.2", "complete = True\n")))
    site = installed(Version("0.49.2"), tmp_path)
    assert len(pip.commands) == 1
    assert (site.path / "bitsandbytes" / "__init__.py").read_text(encoding="utf-8") == "complete = True\n"


def test_another_process_may_be_faster(tmp_path: Path, use: Callable[[Pip], Pip]) -> None:
    def late(target: Path) -> None:
        make(target, "0.49.2", "mine\n")
        make(tmp_path / "bitsandbytes-0.49.2", "0.49.2", "theirs\n")

    use(Pip(late))
    site = installed(Version("0.49.2"), tmp_path)
    assert (site.path / "bitsandbytes" / "__init__.py").read_text(encoding="utf-8") == "theirs\n"
    assert [path.name for path in tmp_path.iterdir()] == ["bitsandbytes-0.49.2"]


@pytest.mark.parametrize(
    ("pip", "sentence"),
    [
        (Pip(status=1), "^pip install failed: No matching distribution found for it$"),
        (Pip(), r"^pip installed something else than bitsandbytes 0\.49\.2$"),
        (Pip(lambda target: make(target, "0.49.1")), r"^pip installed something else than bitsandbytes 0\.49\.2$"),
    ],
)
def test_a_release_that_cannot_be_installed_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, use: Callable[[Pip], Pip], pip: Pip, sentence: str
) -> None:
    use(pip)
    with pytest.raises(SiteError, match=sentence):
        installed(Version("0.49.2"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path: Path, use: Callable[[Pip], Pip]) -> None:
    use(Pip())
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(SiteError, match=rf"^cannot write to {tmp_path}/file/cache: Not a directory$"):
        installed(Version("0.49.2"), tmp_path / "file" / "cache")


def test_the_cache_is_where_caches_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "bnb4-fuzz"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache() == tmp_path / ".cache" / "bnb4-fuzz"
