"""`python -m fuzz bisect`: with a `replay` that is made up, and once with releases that really run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from fuzz.__main__ import main
from fuzz.commands import bisect as command
from fuzz.commands import sites
from fuzz.commands.bisect import PROJECT
from reports.files import write_json
from strategies.case import Case, Quantization
from tests.reports.helpers import finding

STANDIN = PROJECT / "tests" / "standin" / "bitsandbytes"


@pytest.fixture
def found(tmp_path: Path) -> Path:
    """The folder of a finding of the fault `value` of the stand-in."""
    folder = tmp_path / "found"
    write_json(
        folder / "finding.json", finding("dequantize_4bit", case=Case(quantization=Quantization(compress_statistics=True))).to_json()
    )
    return folder


def site(root: Path, version: str, source: str = "") -> str:
    package = root / version / "bitsandbytes"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f'__version__ = "{version}"\n{source}', encoding="utf-8")
    return str(root / version)


class Replays:
    """Stands in for the processes: by release, an exit status and what is printed; "{path}" is the finding."""

    def __init__(self, answers: dict[str, tuple[int, str]]) -> None:
        self.answers = answers
        self.calls: list[tuple[list[str], dict[str, str], Path]] = []

    def __call__(self, words: Sequence[str], *, cwd: Path, env: dict[str, str], **_: object) -> subprocess.CompletedProcess[str]:
        self.calls.append((list(words), env, cwd))
        status, text = self.answers[Path(env["PYTHONPATH"].split(os.pathsep)[0]).name]
        text = text.replace("{path}", words[4])
        return subprocess.CompletedProcess(words, status, "" if status == 2 else text, text if status == 2 else "")


GONE = (0, "{path}: gone\n")
THERE = (1, "{path}: still there: functional.x, x: wrong value: expected 1, got 3\nand more\n")
COULD_NOT = (2, "{path}: could not run: this release has no way to run this Case on x\n")


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, tuple[int, str]]], Replays]:
    def use(answers: dict[str, tuple[int, str]]) -> Replays:
        fake = Replays(answers)
        monkeypatch.setattr(command.subprocess, "run", fake)  # type: ignore[attr-defined]
        return fake

    return use


Use = Callable[[dict[str, tuple[int, str]]], Replays]


def test_a_table_and_what_follows_from_it(found: Path, tmp_path: Path, replays: Use, capsys: pytest.CaptureFixture[str]) -> None:
    replays({"0.49.2": THERE, "0.49.10": COULD_NOT, "0.48.0": GONE, "0.50.0": (0, "{path}: gone, but now x raised ValueError: no\n")})
    given = [site(tmp_path, version) for version in ("0.50.0", "0.49.10", "0.49.2", "0.48.0")]
    assert main(["bisect", str(found), "--sites", *given]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.splitlines() == [
        "release  outcome        note",
        "0.48.0   gone",
        "0.49.2   still there    functional.x, x: wrong value: expected 1, got 3",
        "0.49.10  could not run  this release has no way to run this Case on x",
        "0.50.0   gone           but now x raised ValueError: no",
        "first bad release: 0.49.2",
        "fixed since 0.50.0 (but now x raised ValueError: no); 0.49.10 just before it could not run, where it may be gone already",
    ]


def test_each_release_is_a_fresh_process_with_its_site_first(
    found: Path, tmp_path: Path, replays: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/before")
    monkeypatch.chdir(tmp_path)
    fake = replays({"0.48.0": GONE, "0.49.2": GONE})
    given = [site(tmp_path, version) for version in ("0.48.0", "0.49.2")]
    assert main(["bisect", found.name, "--device", "cuda", "--watchdog", "1m", "--sites", *given]) == 0
    words = [sys.executable, "-m", "fuzz", "replay", str(found), "--watchdog", "60s", "--device", "cuda"]
    assert [call[0] for call in fake.calls] == [words, words]
    assert [call[1]["PYTHONPATH"] for call in fake.calls] == [f"{path}{os.pathsep}/before" for path in given]
    assert {call[2] for call in fake.calls} == {PROJECT}
    monkeypatch.delenv("PYTHONPATH")
    assert main(["bisect", str(found), "--sites", *given]) == 0
    words, env, _ = fake.calls[-1]
    assert "--device" not in words
    assert env["PYTHONPATH"] == given[-1]


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        ((1, "Traceback (most recent call last):\nKeyError: 'x'\n"), "replay ended with exit status 1: KeyError: 'x'"),
        ((0, ""), "replay ended with exit status 0: it printed nothing"),
        ((-9, "{path}: gone\n"), "replay ended with exit status -9: "),
        ((0, "{path}: still there: x\n"), "replay ended with exit status 0: "),
    ],
)
def test_an_exit_status_without_its_words_is_no_answer(
    found: Path, replays: Use, capsys: pytest.CaptureFixture[str], answer: tuple[int, str], note: str
) -> None:
    replays({"0.48.0": answer})
    assert main(["bisect", str(found), "--sites", site(found.parent, "0.48.0")]) == 2
    _, row, sentence = capsys.readouterr().out.splitlines()
    assert row.startswith(f"0.48.0   could not run  {note}")
    assert sentence == "none of the releases could be judged (0 of 1)"


def test_a_release_that_is_stuck_could_not_run(
    found: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stuck(words: Sequence[str], *, timeout: float, **_: object) -> subprocess.CompletedProcess[str]:
        raise subprocess.TimeoutExpired(list(words), timeout)

    monkeypatch.setattr(command.subprocess, "run", stuck)  # type: ignore[attr-defined]
    assert main(["bisect", str(found), "--watchdog", "20s", "--sites", site(tmp_path, "0.48.0")]) == 2
    assert "could not run  did not end within 920 s" in capsys.readouterr().out


def test_releases_are_installed_as_they_come_and_one_that_cannot_be_is_left_out(
    found: Path, tmp_path: Path, replays: Use, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def pip(*words: str) -> str:
        if words[0] == "index":
            return "Available versions: 0.50.2, 0.49.2, 0.48.0\n"
        version = words[-1].partition("==")[2]
        if version == "0.49.2":
            raise sites.SiteError("pip install failed: no wheel")
        target = Path(words[words.index("--target") + 1])
        Path(site(target.parent, version)).rename(target)
        return ""

    monkeypatch.setattr(sites, "_pip", pip)
    replays({"bitsandbytes-0.48.0": THERE, "bitsandbytes-0.50.2": THERE})
    assert main(["bisect", str(found), "--versions", "0.48.0..0.50.2", "--cache", str(tmp_path / "cache")]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "0.48.0   still there    functional.x, x: wrong value: expected 1, got 3",
        "0.49.2   could not run  pip install failed: no wheel",
        "0.50.2   still there    functional.x, x: wrong value: expected 1, got 3",
        "there in every release that could be judged (2 of 3)",
    ]
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["bitsandbytes-0.48.0", "bitsandbytes-0.50.2"]


def test_an_index_that_cannot_be_asked_is_one_sentence_and_status_2(
    found: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: str) -> str:
        raise sites.SiteError("pip index failed: no network")

    monkeypatch.setattr(sites, "_pip", fail)
    assert main(["bisect", str(found)]) == 2
    assert capsys.readouterr().err == "could not run: pip index failed: no network\n"


def test_bad_input_is_one_sentence_and_status_2(found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(tmp_path / "case.json", Case().to_json())
    for arguments, sentence in [
        ([str(tmp_path / "nowhere")], "cannot read"),
        ([str(tmp_path / "case.json")], "is a bare Case; only a finding says which failure to look for"),
        ([str(found), "--sites", str(tmp_path)], "does not contain the package bitsandbytes"),
    ]:
        assert main(["bisect", *arguments]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("could not run: ")
        assert sentence in line


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--versions", "new"], "is not a range of releases; write 0.48.0..0.50.2, 0.49.0.. or 0.50.2"),
        (["--versions", "0.50..0.48"], "the older release comes first"),
        (["--versions", "0.48.0..", "--sites", "."], "not allowed with argument"),
        (["--sites"], "expected at least one argument"),
    ],
)
def test_bad_options_are_one_sentence_and_status_2(options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bisect", "finding", *options])
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def standin(faults: str) -> str:
    """The source of a package that is the stand-in with `faults` switched on."""
    return f"""
import os
os.environ["PLANTED_FAULTS"] = {faults!r}
__path__ = [{str(STANDIN)!r}]
with open({str(STANDIN / "__init__.py")!r}, encoding="utf-8") as file:
    exec(file.read())
"""


def test_releases_that_really_run(found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLANTED_FAULTS", raising=False)
    given = [
        site(tmp_path, "0.50.1", standin("")),
        site(tmp_path, "0.50.0", standin("value")),
        site(tmp_path, "0.49.2", "raise ImportError('not for this torch')\n"),
    ]
    assert main(["bisect", str(found), "--device", "cpu", "--sites", *given]) == 0
    _, broken, bad, good, *told = capsys.readouterr().out.splitlines()
    assert broken == "0.49.2   could not run  ImportError: not for this torch"
    assert bad.startswith("0.50.0   still there    functional.dequantize_4bit, dequantize_4bit: wrong value: expected ")
    assert good == "0.50.1   gone"
    assert told == [
        "first bad release: 0.50.0; 0.49.2 just before it could not run, where it may be there already",
        "fixed since 0.50.1",
    ]
