"""What a defect affects: the sentence, the table, the notes and the largest error beside the smallest input."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.affected import affected, sentence
from reports.extent import Extent, FieldExtent, Worst
from reports.finding import Finding
from strategies import fields
from strategies.case import Fill
from strategies.cases import cases
from tests.reports.helpers import CASE, RICH_EXTENT, finding, hostile, rich_finding
from tests.reports.markdown import cells


def field(name: str, fails: tuple[Any, ...], passes: tuple[Any, ...] = (), **changes: Any) -> FieldExtent:
    return dataclasses.replace(FieldExtent(name=name, trigger=True, fails=fails, passes=passes), **changes)


def affecting(*items: FieldExtent, triggers: dict[str, Any] | None = None, **changes: Any) -> Finding:
    triggers = {item.name: item.fails[0] for item in items if item.trigger} if triggers is None else triggers
    return finding(triggers=triggers, extent=dataclasses.replace(Extent(fields=items, complete=True), **changes))


def test_the_sentence_says_it_all() -> None:
    assert sentence(rich_finding()) == (
        "Fails for activation dtype float16 and bfloat16 (not float32), "
        "for odd out_features from 129 on (smallest that fails 129, largest tried 4097), "
        "for weight values other than all ones, but not for quant_storage float32, "
        "regardless of quant_type, blocksize and compress_statistics; `Linear4bit` users can reach it."
    )


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (field("bias", (True,), (False,)), "with a bias"),
        (field("execution.grad", (True,), (False,)), "with an activation that requires grad"),
        (field("quantization.compress_statistics", (True,), (False,)), "with compress_statistics=True"),
        (
            field("weight.layout", ("in_out",), ("out_in",)),
            "for weight layout (in_features, out_features) (not (out_features, in_features))",
        ),
        (field("quantization.blocksize", (4096,), (64, 32, 128)), "for blocksize 4096 (not 64, 32 or 128)"),
        (field("weight.fill", ("huge",), ("ones", "normal")), "for weight values huge (not all ones or normal)"),
        (field("activation.rank", (3,)), "for activation rank 3"),
        (
            field("execution.stream", ("side",), ("default",)),
            "on a side stream that has yet to write what is read (not the default stream)",
        ),
        (field("execution.mode", ("kept",)), "in mode kept"),
        (field("weight.in_features", (33, 35), (32,), rule="% 2 != 0"), "for odd in_features (smallest that fails 33, largest tried 35)"),
        (field("weight.in_features", (2, 4), (8,), rule="<= 4"), "for in_features up to 4 (smallest that fails 2, largest 4)"),
        (field("weight.in_features", (5,), (4, 6), rule="== 5"), "for in_features 5"),
        (field("activation.rows", (33, 40), (1,), rule=">= 33"), "for row counts from 33 on (smallest that fails 33, largest tried 40)"),
        (field("activation.rows", (3, 2), (1,)), "for row count 2 and 3 (not 1)"),
        (field("activation.rows", (1, 7), (3,), rule="irregular"), "for certain row counts (smallest that fails 1, largest tried 7)"),
    ],
)
def test_a_trigger_in_the_sentence(item: FieldExtent, words: str) -> None:
    assert sentence(affecting(item)) == f"Fails {words}."


def test_a_trigger_that_there_was_no_time_to_vary_is_not_left_out() -> None:
    """Without it the sentence would claim more than is so."""
    triggers = {"bias": True, "weight.out_features": "odd+large", "activation.dtype": "float16", "activation.rows": "large"}
    assert sentence(affecting(triggers=triggers)) == (
        "Fails with a bias, for odd and large out_features, for activation dtype float16, for many rows."
    )


def test_a_broken_relation_is_not_told_as_a_trigger() -> None:
    found = affecting(field("execution.relation", ("sign",), ("none",)), field("bias", (True,), (False,)))
    assert sentence(dataclasses.replace(found, how="sign", symptom="broken relation")) == "Fails with a bias."


def test_what_fails_without_a_trigger() -> None:
    found = affecting(
        field("bias", (False, True), trigger=False), field("packed", ("returned",), ("transposed",), trigger=False), triggers={}
    )
    assert sentence(found) == "Fails without any trigger, but not for packed weight its transposed view, regardless of bias."


def test_one_value_alone_is_not_whatever() -> None:
    """Nothing else was tried, so nothing is known."""
    assert sentence(affecting(field("packed", ("returned",), trigger=False), triggers={})) == "Fails in the minimal case."


@pytest.mark.parametrize(
    ("linear4bit", "words", "note"),
    [
        ("yes", "; `Linear4bit` users can reach it.", ""),
        (
            "no: it passes [out, in]",
            "; `Linear4bit` users cannot reach it.",
            "Reached through `nn.Linear4bit`: no: it passes \\[out, in\\].",
        ),
        ("not tried", ".", "Reached through `nn.Linear4bit`: not tried."),
    ],
)
def test_whether_users_of_the_module_can_reach_it(linear4bit: str, words: str, note: str) -> None:
    found = affecting(field("bias", (True,)), linear4bit=linear4bit)
    assert sentence(found) == f"Fails with a bias{words}"
    assert [line for line in affected(found).splitlines() if line.startswith("Reached")] == ([note] if note else [])


def test_nothing_is_claimed_without_an_extent() -> None:
    assert sentence(finding()) == ""
    assert affected(finding()) == ""


def test_triggers_come_first_and_are_marked() -> None:
    rows = [cells(line) for line in affected(rich_finding()).splitlines() if line.startswith(("| *", "| `"))]
    assert [row[0] for row in rows] == [
        "**`activation.dtype`** (trigger)",
        "**`weight.out_features`** (trigger)",
        "**`weight.fill`** (trigger)",
        "`quantization.quant_type`",
        "`quantization.blocksize`",
        "`quantization.compress_statistics`",
        "`quantization.storage`",
    ]
    assert rows[1][1:] == ["129, 131, 255, 257, 513 ... 4097 (9 in all)", "1, 127, 128, 130, 4096", "`% 2 != 0, >= 129`"]
    assert rows[3][1:] == ["nf4, fp4", "-", ""]


def test_the_table_is_folded_where_that_is_asked_for() -> None:
    plain, folded = affected(rich_finding()), affected(rich_finding(), fold=True)
    assert "<details>" not in plain
    assert folded.replace("<details><summary>Everything that was tried</summary>\n\n", "").replace("\n\n</details>", "") == plain
    assert "<details>" not in affected(rich_finding(extent=dataclasses.replace(RICH_EXTENT, fields=())), fold=True)


def test_the_paths_that_fail_alike() -> None:
    assert "Fails alike on `gemm_4bit_op`." in affected(rich_finding()).splitlines()
    alone = rich_finding(extent=dataclasses.replace(RICH_EXTENT, paths=("matmul_4bit",)))
    assert "No other path fails alike." in affected(alone).splitlines()
    early = rich_finding(extent=dataclasses.replace(RICH_EXTENT, paths=("matmul_4bit",), complete=False))
    assert "path fails alike" not in affected(early)


def test_it_says_if_time_was_up() -> None:
    words = "Time was up before everything was tried."
    assert words not in affected(rich_finding())
    assert words in affected(rich_finding(extent=dataclasses.replace(RICH_EXTENT, complete=False))).splitlines()


def test_the_largest_error_stands_beside_the_smallest_input() -> None:
    rows = [cells(line) for line in affected(rich_finding(extent=None)).splitlines()]
    assert rows[0] == ["", "smallest", "largest error"]
    assert {row[0]: row[1:] for row in rows[2:]} == {
        "out_features": ["129", "4097"],
        "in_features": ["64", "64"],
        "row count": ["2", "130"],
        "weight dtype": ["float32", "float16"],
        "activation dtype": ["bfloat16", "bfloat16"],
        "quant_type": ["nf4", "nf4"],
        "blocksize": ["64", "64"],
        "weight values": ["normal", "normal"],
        "activation values": ["heavy_tailed", "heavy_tailed"],
        "bias": ["False", "True"],
        "error over bound": ["2.5", "171"],
    }


def test_an_error_that_was_not_measured() -> None:
    worst = Worst(case=fields.replace(CASE, "weight.fill", Fill.HUGE), error_over_bound=3.0)
    assert "| error over bound | - | 3 |" in affected(finding(error_over_bound=None, worst=worst)).splitlines()


def test_the_smallest_input_is_not_compared_with_itself() -> None:
    same = fields.canonical(CASE)
    assert affected(finding(worst=Worst(case=same, error_over_bound=2.5))) == ""


scalars = st.one_of(hostile, st.integers(), st.booleans())
values = st.lists(scalars, max_size=12).map(tuple)
names = st.one_of(hostile, st.sampled_from([*fields.CHOICES, *fields.SIZES]))
extents = st.builds(
    Extent,
    fields=st.lists(
        st.builds(FieldExtent, name=names, trigger=st.booleans(), fails=values, passes=values, rule=st.one_of(hostile, st.just(">= 3"))),
        max_size=3,
    ).map(tuple),
    paths=st.lists(hostile, max_size=3).map(tuple),
    linear4bit=st.one_of(hostile, st.just("yes"), hostile.map("no: {}".format)),
    complete=st.booleans(),
)


@given(extents, st.dictionaries(names, scalars, max_size=3), cases())
def test_every_extent_can_be_written(extent: Extent, triggers: dict[str, Any], case: Any) -> None:
    found = finding(extent=extent, triggers=triggers, worst=Worst(case=case, error_over_bound=1.0))
    line = sentence(found)
    assert line.startswith("Fails ")
    assert line.endswith(".")
    assert line.isprintable()
    text = affected(found)
    rows = [row for row in text.splitlines() if row.startswith(("| *", "| `"))]
    assert len(rows) == len(extent.fields)
    assert {len(cells(row)) for row in rows} <= {4}
    assert all(char.isprintable() or char == "\n" for char in text)
