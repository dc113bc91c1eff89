"""Pictures of a page, where there is no browser. What they are made of is tested with the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.screenshots import main


def test_without_a_browser_there_is_one_sentence_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.browser.shutil.which", lambda _: None)
    assert main([str(tmp_path), "--into", str(tmp_path / "docs")]) == 2
    assert capsys.readouterr().err == "could not take pictures: none of chromium, chromium-browser, google-chrome is on PATH\n"
    assert list(tmp_path.iterdir()) == []
