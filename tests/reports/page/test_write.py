"""The page as HTML: whole, safe whatever text is in it, and small."""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reports.finding import Finding, ScriptRun
from reports.page.text import visible
from reports.page.write import render, write_page
from reports.previous import Previous
from reports.run import ReportsError
from reports.space import ARMS, ROWS, SIZES, Space
from tests.reports.helpers import NASTY, RICH_EXTENT, SYSTEM, finding, hostile, rich_finding
from tests.reports.page.html import Parsed
from tests.reports.page.runs import shown
from tests.reports.stored_runs import record, write_run

MARKUP = "</code></pre><script>alert(1)</script><img src=http://x/y onerror=z>{{ 7 * 7 }}{% raw %}<!-- \" ' `"
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "nav", "main", "section", "script", "details", "summary"),
    *("p", "span", "b", "strong", "em", "code", "pre", "h1", "h2", "h3", "h4", "h5", "ul", "li", "dl", "dt", "dd", "div", "a"),
    *("button", "table", "time", "caption", "thead", "tbody", "tr", "th", "td", "img", "figure", "figcaption", "meter"),
}


def everywhere(text: str) -> Finding:
    """A finding with `text` wherever text can be."""
    extent = dataclasses.replace(RICH_EXTENT, paths=(text,), linear4bit=f"no: {text}", complete=False)
    names = dict.fromkeys(("surface", "path", "symptom", "how", "source", "expected", "got", "grade"), text)
    return rich_finding(
        **names, extent=extent, arms=(text,), kernels=(text,), others={text: text}, system={**SYSTEM, "gpu": text},
        script=ScriptRun(exit_status=1, output=text), provoked={text: text}, sightings=(), errors={}, triggers={text: text},
    )  # fmt: skip


def page_of(text: str) -> str:
    """A page with `text` wherever text can be."""
    entry = {"signature": text, "slug": text, "reason": text}
    return render(
        shown(
            [everywhere(text)],
            script=text,
            unread=(text,),
            system={"device": text, "cpu": text, "bitsandbytes": text, text: text},
            note=text,
            stop_reason=text,
            surfaces={text: 1},
            warnings=[text],
            date=text,
            previous=Previous(date=text, system={"bitsandbytes": text, "device": text, "gpu": text}, findings=[entry]),
            known=[{"title": text, "link": text, "state": text, "cases": 1}],
            unconfirmed=[entry, entry | {"rate": text}],
            coverage=dataclasses.replace(record().coverage, values={text: {text: 0}}, arms={text: {text: 1}}),
            space=Space(cases={ROWS: {text: 2}, ARMS: {text: 1}, SIZES: {text: 1}}, failed={ROWS: {text: 1}, text: {text: 1}}),
        )
    )


@functools.cache
def plain_page() -> Parsed:
    """The page with nothing but a letter everywhere."""
    return Parsed(page_of("x"))


@settings(max_examples=60)
@given((hostile | st.text(st.characters(exclude_categories=()), max_size=60)).filter(bool))
@example(NASTY)
@example(MARKUP)
@example("javascript:alert(1)")
@example("x" * 30_000)
def test_text_from_outside_is_text_and_never_markup_or_script(text: str) -> None:
    source = page_of(text)
    source.encode()
    parsed, plain = Parsed(source), plain_page()
    assert not parsed.stray
    assert not parsed.unclosed
    assert {element.tag for element in parsed.elements} <= TAGS
    for tag in ("script", "style", "img", "a", "button", "meta", "details"):
        assert parsed.all(tag) == plain.all(tag)
    assert {name for element in parsed.elements for name in element.attributes} <= {
        name for element in plain.elements for name in element.attributes
    }
    assert parsed.text.count(visible(text).replace("\r", "")) >= 10


def test_nothing_is_loaded_and_nothing_else_is_run() -> None:
    parsed = Parsed(page_of("x"))
    assert all(target.startswith("#") for target in parsed.attributes("href"))
    assert all(source.startswith("data:image/") for source in parsed.attributes("src"))
    policy = next(each for each in parsed.attributes("content") if "default-src" in each)
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert not [name for element in parsed.elements for name in element.attributes if name.startswith("on") or name == "style"]


@pytest.mark.parametrize("tag", ["style", "script"])
def test_the_policy_names_the_style_and_the_script(tag: str) -> None:
    source = render(shown())
    inline = re.search(f"<{tag}>(.*?)</{tag}>", source, re.DOTALL)
    assert inline
    digest = base64.b64encode(hashlib.sha256(inline[1].encode()).digest()).decode()
    policy = next(each for each in Parsed(source).attributes("content") if "default-src" in each)
    assert f"{tag}-src 'sha256-{digest}'" in policy


def test_everything_that_is_pointed_to_is_there_once() -> None:
    parsed = Parsed(render(shown([finding(), rich_finding(), finding("gemv_4bit", "hang", model=None)])))
    identifiers = parsed.attributes("id")
    assert len(identifiers) == len(set(identifiers))
    targets = {target.removeprefix("#") for target in parsed.attributes("href")}
    assert targets | set(parsed.attributes("data-copy")) | set(parsed.attributes("aria-labelledby")) <= set(identifiers)


def test_headers_of_tables_have_a_scope_and_pictures_a_text() -> None:
    space = Space(cases={SIZES: {"0,6": 1}})
    parsed = Parsed(render(shown([rich_finding()], space=space, throughput=[[0.0, 0], [1.0, 5], [2.0, 6]])))
    assert parsed.all("th")
    assert parsed.all("img")
    assert all(element.attributes.get("scope") in {"col", "row"} for element in parsed.all("th"))
    assert all(element.attributes.get("alt") for element in parsed.all("img"))


def test_a_script_can_be_copied_as_it_is() -> None:
    script = "x = '<a & b>'\nprint(x)\n"
    source = render(shown([finding()], script=script))
    assert re.search(r'<code id="finding-1-script">(.*?)</code>', source, re.DOTALL)
    assert script in Parsed(source).text


def test_what_a_reader_looks_for_is_there() -> None:
    found = rich_finding()
    text = Parsed(render(shown([found], cases=1_234_567))).text
    for part in (found.expected, found.got, "1,234,567", "3 of 3 processes", "python -m fuzz replay out/findings/", found.signature):
        assert part in text


def test_a_run_that_found_nothing_says_so() -> None:
    assert "No findings on bitsandbytes 0.50.2" in Parsed(render(shown())).text


KNOWN = {"link": "unreported", "reason": "it <b>reads</b> beyond"}
SEEN = KNOWN | {"title": "a packed weight that is too short", "state": "seen", "cases": 1234}
FIXED = KNOWN | {"title": "odd sizes", "state": "looks fixed", "cases": 0}
UNMET = KNOWN | {"title": "no elements", "state": "not met", "cases": 0}


def test_a_run_in_which_nothing_is_new_says_what_it_has_seen() -> None:
    parsed = Parsed(render(shown(known=[UNMET, FIXED, SEEN])))
    assert "1 known defect seen on bitsandbytes 0.50.2, none new" in parsed.text
    assert "it <b>reads</b> beyond" in parsed.text
    places = [parsed.text.index(str(row["title"])) for row in (SEEN, FIXED, UNMET)]
    assert places == sorted(places), "what was seen comes first, what was not met last"
    assert "1,234" in parsed.text
    assert "1 that no case of this run met" in parsed.text


def test_new_findings_come_before_what_is_known() -> None:
    text = Parsed(render(shown([rich_finding()], known=[SEEN]))).text
    assert "1 finding on bitsandbytes 0.50.2" in text
    assert "none new" not in text


def test_where_nothing_is_known_nothing_is_listed() -> None:
    text = Parsed(render(shown(known=[UNMET]))).text
    assert "No findings on bitsandbytes 0.50.2" in text
    assert "No defect that is known was met." in text


def test_a_run_that_says_next_to_nothing_has_a_page() -> None:
    assert "No findings on bitsandbytes ?" in Parsed(render(shown(system={}, seconds=0.0, cases=0))).text


def test_the_page_lies_beside_the_run(tmp_path: Path) -> None:
    write_run(tmp_path, run=record())
    assert write_page(tmp_path) == tmp_path / "index.html"
    assert {path.name for path in tmp_path.iterdir()} == {"run.json", "index.html"}


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path, run=record())

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("reports.files.tempfile.mkstemp", refuse)
    with pytest.raises(ReportsError, match=r"^cannot write .*index\.html: Permission denied$"):
        write_page(tmp_path)
