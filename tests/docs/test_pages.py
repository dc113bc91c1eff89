"""Every example of every page is run in a copy of the sources."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from tests.docs.document import DOCS, copy_sources, run
from tests.end_to_end.commands import PROJECT
from tests.reports.markdown import parse

PAGES = sorted(DOCS.glob("*.md"))
NEEDS = {"fleet": "ray"}
"""Packages that the examples of a page need and that not every environment has."""
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")


def links_of(page: Path) -> list[str]:
    """The files that a page links to. What looks like a link in an example is none."""
    return LINK.findall("\n".join(parse(page.read_text(encoding="utf-8"))[0]))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_page_do_what_it_says(tmp_path: Path, page: Path) -> None:
    if (package := NEEDS.get(page.stem)) and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    run(page.read_text(encoding="utf-8"), copy_sources(tmp_path))


@pytest.mark.parametrize("page", [PROJECT / "README.md", *PAGES], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    links = links_of(page)
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_leads_to_every_page() -> None:
    links = {(PROJECT / link).resolve() for link in links_of(PROJECT / "README.md")}
    assert set(PAGES) <= links
