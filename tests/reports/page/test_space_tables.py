"""What was explored, as numbers."""

from __future__ import annotations

from reports.page.space_tables import Row, tables
from reports.space import ARMS, DTYPES, ROWS, SIZES, Space

SPACE = Space(
    cases={
        SIZES: {"11,7": 3, "3,8": 1},
        ROWS: {"0": 2, "1": 4, "11": 1, "3": 1},
        DTYPES: {"float32": 4, "bfloat16": 0},
        ARMS: {"simt or gemv": 2},
    },
    failed={SIZES: {"3,8": 1}, ROWS: {"1": 1}, ARMS: {"simt or gemv": 2}},
)


def test_bins_are_in_order_and_named_by_what_they_hold() -> None:
    rows, dtypes, arms, sizes = tables(SPACE)
    assert rows.rows == (Row("0", 2, 0), Row("1", 4, 1), Row("4 to 7", 1, 0), Row("1024 to 2047", 1, 0))
    assert dtypes.rows == (Row("bfloat16", 0, 0), Row("float32", 4, 0))
    assert arms.rows == (Row("simt or gemv", 2, 2),)
    assert sizes.rows == (Row("4 to 7 x 128 to 255", 1, 1), Row("1024 to 2047 x 64 to 127", 3, 0))
    assert [table.counted for table in (rows, dtypes, arms, sizes)] == ["cases", "cases", "verdicts", "cases"]
    assert [table.long for table in (rows, dtypes, arms, sizes)] == [False, False, False, True]


def test_shares() -> None:
    assert [row.share for row in (Row("a", 4, 1), Row("b", 0, 0))] == [0.25, 0.0]


def test_names_that_are_no_numbers_stay() -> None:
    (table,) = tables(Space(cases={ROWS: {"x": 1, "²": 1, "9" * 5000: 1}}))
    assert {row.label for row in table.rows} == {"x", "²", "9" * 5000}


def test_nothing_was_explored() -> None:
    assert list(tables(Space())) == []
