"""The page at the end of a run."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from reports.page import write
from reports.page.at_end import page_line
from tests.reports.stored_runs import contents, record, write_run


def test_the_page_is_written_and_named(tmp_path: Path) -> None:
    write_run(tmp_path, run=record())
    assert page_line(tmp_path) == f"page: {tmp_path / 'index.html'}"
    assert (tmp_path / "index.html").is_file()


def test_a_library_that_warns_is_no_reason_to_have_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def warn(root: Path) -> Path:
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        return root

    monkeypatch.setattr(write, "write_page", warn)
    assert page_line(tmp_path) == f"page: {tmp_path}"


@pytest.mark.parametrize(
    ("error", "reason"),
    [(RuntimeError("two\nlines"), "two lines"), (MemoryError(), "MemoryError"), (ImportError("no jinja2"), "no jinja2")],
)
def test_whatever_goes_wrong_is_one_line_and_costs_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    write_run(tmp_path, run=record())
    before = contents(tmp_path)

    def fail(_: Path) -> Path:
        raise error

    monkeypatch.setattr(write, "write_page", fail)
    assert page_line(tmp_path) == f"warning: there is no page of this run, its results are written: {reason}"
    assert contents(tmp_path) == before
