"""The page in a browser: it loads without a complaint or a request, its button copies, and nothing is wider than a phone."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.browser import NAMES, Browser, find, open_all, sizes
from benchmarks.screenshots import PHONE, TOP, main
from fuzz.campaign.coverage import Visited
from reports.finding import Finding
from reports.page.write import render
from reports.space import DTYPES, ROWS, SIZES, Space
from tests.reports.helpers import RICH_EXTENT, finding, rich_finding
from tests.reports.page.runs import entry, shown
from tests.reports.page.test_write import MARKUP
from tests.reports.stored_runs import record, write_run

pytestmark = pytest.mark.skipif(not any(map(shutil.which, NAMES)), reason="there is no Chromium on PATH")

LONG = "a_very_long_name_" * 40
SCRIPT = "x = '<b>&amp;'\nprint(x)\n"


def findings() -> list[Finding]:
    """Findings of every sort, one with names that no window holds."""
    extent = dataclasses.replace(RICH_EXTENT, paths=(LONG,))
    wide = rich_finding(path=LONG, surface=LONG, got=LONG, others={LONG: LONG}, extent=extent, kernels=(LONG,))
    return [wide, finding("gemv_4bit", "wrong shape", expected="shape (64,)", got="shape (1,)", how=MARKUP), rich_finding()]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser(find()) as started:
        yield started


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    space = Space(cases={SIZES: {"0,6": 3, "12,7": 9}, ROWS: {"0": 12}, DTYPES: {LONG: 1}}, failed={SIZES: {"0,6": 1}})
    unconfirmed = [{"signature": LONG, "slug": "", "reason": LONG}, {"signature": LONG, "slug": "", "reason": "r", "rate": LONG}]
    known = [{"title": LONG, "link": LONG, "state": "seen", "cases": 3}]
    changes: dict[str, Any] = {"space": space, "coverage": Visited().coverage(), "throughput": [[0.0, 0], [1.0, 5], [2.0, 9]]}
    source = render(shown(findings(), script=SCRIPT, unconfirmed=unconfirmed, known=known, note=LONG, **changes))
    file = tmp_path_factory.mktemp("page") / "index.html"
    file.write_text(source, encoding="utf-8")
    return file


@pytest.mark.parametrize("width", [PHONE, 768, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_it_loads_without_a_complaint_and_asks_for_nothing(browser: Browser, page: Path, width: int, dark: bool) -> None:  # noqa: FBT001
    browser.open(page, width, dark=dark)
    open_all(browser)
    assert browser.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert browser.trouble == []
    assert browser.requests == []


@pytest.mark.parametrize("width", [320, PHONE, 1280])
def test_nothing_is_wider_than_the_window(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width)
    assert tuple(sizes(browser)) == (width, width)
    open_all(browser)
    assert tuple(sizes(browser)) == (width, width)


def test_the_button_copies_the_script_as_it_is_and_says_so(browser: Browser, page: Path) -> None:
    browser.open(page, 1280)
    browser.evaluate("navigator.clipboard.writeText = async text => { window.copied = text }")
    browser.evaluate("document.querySelector('.copy').click()")
    assert browser.evaluate("window.copied") == SCRIPT
    assert browser.evaluate("document.getElementById('status').textContent") == "Copied"


def test_where_nothing_can_be_copied_the_script_is_selected(browser: Browser, page: Path) -> None:
    browser.open(page, 1280)
    open_all(browser)
    browser.evaluate("navigator.clipboard.writeText = async () => { throw new Error('denied') }")
    browser.evaluate("document.querySelector('.copy').click()")
    assert browser.evaluate("getSelection().toString()").strip() == SCRIPT.strip()


def test_a_link_to_a_finding_opens_it(browser: Browser, page: Path) -> None:
    browser.open(page, 1280)
    browser.evaluate("new Promise(done => { addEventListener('hashchange', () => setTimeout(done)); location.hash = 'finding-2' })")
    assert browser.evaluate("document.getElementById('finding-2').open")
    assert not browser.evaluate("document.getElementById('finding-1').open")


def test_what_asks_for_something_would_be_noticed(tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text("<p style='width: 2000px'>wide</p><img src='http://localhost:9/x.png'><script>missing()</script>", encoding="utf-8")
    with Browser(find()) as other:
        other.open(bad, PHONE)
        assert other.requests == ["http://localhost:9/x.png"]
        assert any("missing is not defined" in words for words in other.trouble)
        assert sizes(other)[1] > PHONE


def test_screenshots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = rich_finding()
    write_run(tmp_path / "run", [found], run=record(findings=[entry(found)]))
    assert main([str(tmp_path / "run"), "--into", str(tmp_path / "docs")]) == 0
    files = [tmp_path / "docs" / f"page-{name}.webp" for name in TOP]
    assert capsys.readouterr().out.splitlines() == [str(file) for file in files]
    assert all(file.read_bytes()[8:12] == b"WEBP" for file in files)


def test_screenshots_of_nothing_are_one_sentence_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--into", str(tmp_path / "docs")]) == 2
    assert capsys.readouterr().err.startswith(f"could not take pictures: {tmp_path} has no run that can be shown: ")
