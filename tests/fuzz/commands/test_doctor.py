"""`python -m fuzz doctor`: its lines, its verdict and its exit status. The end-to-end tests run it on real machines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from fuzz.__main__ import main
from fuzz.commands import doctor as command
from fuzz.doctor.line import Line, no, ok, warn

ALL_WELL = [ok("python", "3.12"), warn("calibration", "none"), no("driver", "none"), ok("GPU", "H200")]


def status(monkeypatch: pytest.MonkeyPatch, lines: Sequence[Line], *options: str) -> int:
    monkeypatch.setattr(command, "_examined", lambda *_: iter(lines))
    return main(["doctor", *options])


def test_lines_are_aligned_and_a_no_alone_does_not_stop_a_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(monkeypatch, ALL_WELL) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ok    python       3.12",
        "warn  calibration  none",
        "no    driver       none",
        "ok    GPU          H200",
        "a run makes sense here: pytest fuzz/ --fuzz-device auto",
    ]


def test_without_a_gpu_it_says_that_the_cpu_is_all_there_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(monkeypatch, [no("GPU", "cannot be used: none")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "a run makes sense here, on the CPU only: pytest fuzz/ --fuzz-device auto"


def test_every_reason_is_in_the_last_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [*ALL_WELL, no("reports", "read-only", stops=True), no("corpus", "no Case", stops=True)]
    assert status(monkeypatch, lines) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "no run makes sense here: reports: read-only; corpus: no Case"


def test_the_options_reach_the_examination(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[object, ...]] = []

    def examined(*given: object) -> list[Line]:
        seen.append(given)
        return [ok("python", "3.12")]

    monkeypatch.setattr(command, "_examined", examined)
    paths = [tmp_path / name for name in ("reports", "known", "corpus")]
    options = zip(("--reports-dir", "--known-issues", "--corpus"), map(str, paths), strict=True)
    assert main(["doctor", "--device", "cuda", *(word for pair in options for word in pair)]) == 0
    assert main(["doctor"]) == 0
    project = command.PROJECT
    defaults = ("auto", project / "reports" / "out", project / "fuzz" / "known_issues.toml", project / "fuzz" / "corpus")
    assert seen == [("cuda", *paths), defaults]


@pytest.mark.parametrize("arguments", [["--device", "tpu"], ["--reports-dir"], ["something"]])
def test_bad_usage_is_status_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", *arguments])
    assert ended.value.code == 2
