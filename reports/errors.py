"""Where in an output the numbers are wrong, and by how much: a small grid, however large the output is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

from reports import schema
from reports.schema import RecordError

WRONG: Final = "x"
RIGHT: Final = "."

MINIMAL: Final = "minimal"
WORST: Final = "worst"
"""The Cases of a finding that have such a grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorGrid:
    """The error over bound of an output seen as a matrix, in tiles.

    Attributes:
        shape: rows and columns of the output, all dimensions but the last being rows.
        tile: rows and columns of a tile; the last tiles may be smaller.
        ratios: the largest error over bound of each tile, row by row; None where it is no finite number.
        wrong: for each row of tiles a text with a letter for each tile, `WRONG` if any of its outputs is, else `RIGHT`.
    """

    shape: tuple[int, int]
    tile: tuple[int, int]
    ratios: tuple[tuple[float | None, ...], ...]
    wrong: tuple[str, ...]

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return len(self.ratios) * len(self.ratios[0])

    def to_json(self) -> dict[str, Any]:
        """The grid as JSON data."""
        return {
            "shape": list(self.shape),
            "tile": list(self.tile),
            "ratios": [list(row) for row in self.ratios],
            "wrong": list(self.wrong),
        }

    @classmethod
    def from_json(cls, data: Any, place: str = "the errors") -> Self:
        """The grid that `to_json` wrote.

        Raises:
            RecordError: something is missing or malformed, or the rows are not equally long; one sentence.
        """
        ratios = schema.array(schema.array(schema.nothing_or(schema.number)))
        pair, texts = schema.array(schema.count), schema.array(schema.text)
        schema.check(data, place, {"shape": pair, "tile": pair, "ratios": ratios, "wrong": texts})
        rows, columns = len(data["ratios"]), len(data["ratios"][0]) if data["ratios"] else 0
        lengths = {len(row) for row in (*data["ratios"], *data["wrong"])}
        if not (rows and columns) or lengths != {columns} or len(data["wrong"]) != rows or not len(data["shape"]) == len(data["tile"]) == 2:  # noqa: PLR2004
            raise RecordError(f"{place} are not a grid")
        return cls(
            shape=(data["shape"][0], data["shape"][1]),
            tile=(data["tile"][0], data["tile"][1]),
            ratios=tuple(map(tuple, data["ratios"])),
            wrong=tuple(data["wrong"]),
        )
