"""Writes `index.html`: one file with everything in it, which may load nothing from anywhere and run no script but its own."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reports.files import write_text
from reports.page import NAME
from reports.page.load import Shown, load
from reports.page.text import shown as shown_text
from reports.page.view import view
from reports.run import ReportsError


def write_page(root: Path) -> Path:
    """Write the page of the run in the reports directory `root`, and return its path.

    Raises:
        ReportsError: there is no run that can be shown, or the page cannot be written; one sentence.
    """
    page = root / NAME
    text = render(load(root))
    try:
        write_text(page, text)
    except OSError as error:
        raise ReportsError(f"cannot write {page}: {error.strerror}") from None
    return page


def render(shown: Shown) -> str:
    """The page as HTML."""
    environment = Environment(
        loader=PackageLoader("reports.page", "templates"),
        autoescape=True,
        finalize=shown_text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (Markup(environment.get_template(name).render()) for name in ("style.css", "script.js"))  # noqa: S704 - our own files
    return environment.get_template("page.html").render(
        page=view(shown), style=style, script=script, style_hash=_hash(style), script_hash=_hash(script)
    )


def _hash(text: str) -> str:
    """What a content security policy calls an inline text, so that nothing else can take its place."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
