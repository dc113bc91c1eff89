"""Counts of judged outputs and the rows that they make."""

from __future__ import annotations

import pytest
import torch

from fuzz.calibrate.tally import Counts, Tallies, Tally
from fuzz.oracle.arms import Arm
from fuzz.oracle.calibration import Row
from fuzz.oracle.operands import Nested

SEPARATE, FUSED = Nested.SEPARATE, Nested.FUSED


def tally(by_nested: dict[Nested, tuple[int, int]], *, outputs: int = 100, outside_bound: int = 0) -> Tally:
    """A tally with counts (outside of the interval, of other bits)."""
    made = Tally(outputs=outputs, outside_bound=outside_bound)
    for nested, (outside, different) in by_nested.items():
        made.by_nested[nested] = Counts(outside_interval=outside, different=different)
    return made


@pytest.mark.parametrize(
    ("by_nested", "agreeing", "outside", "different"),
    [
        ({SEPARATE: (0, 0)}, (SEPARATE,), 0, 0),
        ({SEPARATE: (0, 0), FUSED: (0, 0)}, (FUSED, SEPARATE), 0, 0),
        ({FUSED: (0, 0), SEPARATE: (0, 0)}, (FUSED, SEPARATE), 0, 0),
        ({SEPARATE: (0, 7), FUSED: (0, 0)}, (FUSED,), 0, 0),
        ({SEPARATE: (3, 7), FUSED: (0, 90)}, (FUSED,), 0, 90),
        ({SEPARATE: (2, 5), FUSED: (2, 6)}, (SEPARATE,), 2, 5),
        ({SEPARATE: (2, 5), FUSED: (2, 5)}, (FUSED, SEPARATE), 2, 5),
        ({}, (), 0, 0),
    ],
)
def test_a_row_has_the_evaluations_of_scales_that_agree_best(
    by_nested: dict[Nested, tuple[int, int]], agreeing: tuple[Nested, ...], outside: int, different: int
) -> None:
    row = tally(by_nested, outputs=100, outside_bound=4).row(Arm.SIMT, "float16")
    assert row == Row(
        arm=Arm.SIMT,
        dtype="float16",
        nested=agreeing,
        outputs=100,
        outside_bound=4,
        outside_interval=outside,
        different=different,
    )


def test_without_an_emulation_nothing_but_the_bound_may_judge() -> None:
    row = tally({}).row(Arm.CPU_BF16, "float16")
    assert not row.usable
    assert not row.ordered


def test_what_was_contradicted_may_not_judge() -> None:
    assert tally({SEPARATE: (0, 0)}).row(Arm.SIMT, "float16").ordered
    assert tally({SEPARATE: (0, 1)}).row(Arm.SIMT, "float16").usable
    assert not tally({SEPARATE: (0, 1)}).row(Arm.SIMT, "float16").ordered
    assert not tally({SEPARATE: (1, 1)}).row(Arm.SIMT, "float16").usable
    assert not tally({SEPARATE: (0, 0)}, outputs=0).row(Arm.SIMT, "float16").usable


def test_counts_of_an_evaluation_begin_at_zero() -> None:
    made = Tally()
    made.by_nested[FUSED].different += 2
    assert made.by_nested[FUSED] == Counts(outside_interval=0, different=2)


def test_an_arm_and_a_dtype_have_one_tally() -> None:
    tallies = Tallies()
    tallies.of(Arm.SIMT, torch.float16).outputs += 5
    tallies.of(Arm.SIMT, torch.float16).outputs += 6
    tallies.of(Arm.SIMT, torch.bfloat16).outputs += 1
    tallies.of(Arm.GEMV, torch.float16).outputs += 2
    assert {(row.arm, row.dtype): row.outputs for row in tallies.rows} == {
        (Arm.SIMT, "float16"): 11,
        (Arm.SIMT, "bfloat16"): 1,
        (Arm.GEMV, "float16"): 2,
    }


def test_rows_are_in_the_order_of_arms_and_dtypes_whatever_the_order_of_measuring() -> None:
    tallies = Tallies()
    for arm in reversed(Arm):
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            tallies.of(arm, dtype).outputs += 1
    keys = [(row.arm, row.dtype) for row in tallies.rows]
    assert keys == [(arm, dtype) for arm in Arm for dtype in ("bfloat16", "float16", "float32")]


def test_dequantized_weights_are_no_outputs_of_products() -> None:
    tallies = Tallies()
    assert tallies.outputs == 0
    for number, arm in enumerate(Arm):
        tallies.of(arm, torch.float16).outputs += 10**number
    dequantized = 10 ** list(Arm).index(Arm.DEQUANTIZE)
    assert tallies.outputs == sum(10**number for number in range(len(Arm))) - dequantized


def test_what_was_covered_is_remembered_once() -> None:
    tallies = Tallies()
    for blocksize in ("64", "128", "64"):
        tallies.cover(Arm.SIMT, torch.float16, "nf4", blocksize)
    tallies.cover(Arm.SIMT, torch.float32, "fp4", "64")
    assert tallies.covered == {
        (Arm.SIMT, "float16"): {("nf4", "64"), ("nf4", "128")},
        (Arm.SIMT, "float32"): {("fp4", "64")},
    }
