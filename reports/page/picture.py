"""Plots as pictures within the page: vector graphics that follow the reader's light or dark colours."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from xml.etree import ElementTree as ET

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK: Final = "#1d2125"
"""Of text and lines. Where the reader prefers a dark page it is `_LIGHT_INK`."""
_LIGHT_INK: Final = "#e7e9eb"
FAILURE: Final = "#c2185b"
"""Of what is wrong; it can be told from both grounds. Shape or text says the same."""

_STYLE: Final = (
    f"@media (prefers-color-scheme: dark) {{ text {{ fill: {_LIGHT_INK} !important }} "
    f'[style*="stroke: {INK}"] {{ stroke: {_LIGHT_INK} !important }} [style*="fill: {INK}"] {{ fill: {_LIGHT_INK} !important }} }}'
)
_SVG: Final = "http://www.w3.org/2000/svg"
_PIXELS_PER_INCH: Final = 96
_SETTINGS: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",  # text stays text, in the reader's font and a tenth of the size
    "svg.hashsalt": "bnb4-fuzz",  # the same plot is the same file
    "font.size": 10,
    "font.family": "sans-serif",
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "lines.color"), INK),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture for an `img` element.

    Attributes:
        source: a data URI.
        alt: what it shows, for those who do not see it.
        caption: how to read it.
        width, height: CSS pixels.
    """

    source: Markup
    alt: str
    caption: str
    width: int
    height: int


@contextmanager
def canvas(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """A figure of this size in inches with one pair of axes, in this page's style.

    What is written on it is this program's own: text from outside might be taken for mathematics.
    """
    with rc_context(_SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def picture(figure: Figure, alt: str, caption: str = "") -> Picture:
    """A finished figure as a picture; call it within `canvas`."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}, transparent=True)
    width, height = (round(inches * _PIXELS_PER_INCH) for inches in figure.get_size_inches())
    encoded = base64.b64encode(_with_style(buffer.getvalue())).decode()
    source = Markup(f"data:image/svg+xml;base64,{encoded}")  # noqa: S704 - no character of it is markup, and it is not to be cut
    return Picture(source=source, alt=alt, caption=caption, width=width, height=height)


def _with_style(svg: bytes) -> bytes:
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ET.fromstring(svg)  # noqa: S314 - matplotlib wrote it
    style = ET.Element(f"{{{_SVG}}}style")
    style.text = _STYLE
    root.insert(0, style)
    for element in root.iter():  # line ends and indents are a tenth of it
        element.text, element.tail = (text if text and text.strip() else None for text in (element.text, element.tail))
    return ET.tostring(root)
