"""Plots: there where there is something to see, well-formed, small, and told in words too."""

from __future__ import annotations

import base64
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.page.picture import Picture, canvas, picture
from reports.page.space_picture import bins, space_picture
from reports.page.throughput_picture import throughput_picture
from reports.space import SIZES, Space

PREFIX = "data:image/svg+xml;base64,"


def svg(shown: Picture | None) -> ET.Element:
    """The picture's own document."""
    assert shown is not None
    assert shown.source.startswith(PREFIX)
    return ET.fromstring(base64.b64decode(shown.source.removeprefix(PREFIX)))  # noqa: S314 - of this program


def words(root: ET.Element) -> set[str]:
    """The texts of a picture."""
    return {(element.text or "").strip() for element in root.iter("{http://www.w3.org/2000/svg}text")}


def test_a_picture_follows_the_readers_colours_and_is_always_the_same() -> None:
    def drawn() -> Picture:
        with canvas(2, 1) as (figure, axes):
            axes.plot([1, 2], [3, 4])
            return picture(figure, "a line")

    root = svg(drawn())
    style = root.find("{http://www.w3.org/2000/svg}style")
    assert style is not None
    assert "prefers-color-scheme: dark" in (style.text or "")
    assert drawn() == drawn()
    assert (drawn().width, drawn().height, drawn().alt) == (192, 96, "a line")


def test_throughput_says_how_fast_it_was() -> None:
    shown = throughput_picture([[0.0, 0], [1.0, 5], [3.0, 5], [4.0, 25]])
    assert shown is not None
    assert shown.alt == "Throughput from 0 to 20 cases a second, 25 cases in 4 seconds."
    assert {"seconds", "cases a second"} <= words(svg(shown))


@pytest.mark.parametrize("points", [[], [[0.0, 0]], [[0.0, 0], [1.0, 2]], [[1.0, 0], [1.0, 1], [1.0, 2]]])
def test_too_few_points_are_no_picture(points: list[list[float]]) -> None:
    assert throughput_picture(points) is None


def test_the_space_says_where_something_failed() -> None:
    shown = space_picture(Space(cases={SIZES: {"0,6": 3, "7,7": 9}}, failed={SIZES: {"7,7": 1}}))
    assert shown is not None
    assert shown.alt == (
        "2 of 64 bins of sizes were explored, most densely out_features from 64 and in_features from 64 (9 cases). "
        "In 1 of them something failed."
    )
    assert {"in_features, from", "out_features, from", "cases", "32"} <= words(svg(shown))


def test_without_sizes_there_is_no_picture() -> None:
    assert space_picture(Space()) is None
    assert space_picture(Space(cases={SIZES: {"0,0": 0}})) is None


def test_the_picture_of_a_million_cases_is_small() -> None:
    counts = {f"{row},{column}": 4000 for row in range(17) for column in range(17)}
    shown = space_picture(Space(cases={SIZES: counts}, failed={SIZES: counts}))
    assert shown is not None
    assert len(shown.source) < 250_000


@given(st.dictionaries(st.text(alphabet="0123456789,x-² ", max_size=5), st.integers(0, 10**9)))
def test_bins_that_are_no_numbers_are_left_out(counts: dict[str, int]) -> None:
    assert all(0 <= one < 100 and 0 <= other < 100 and count for (one, other), count in bins(counts).items())
