"""Wide Cases: where the larger tiles are taken by upstream's rules, cheap enough to be judged, and everything else as it was."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from fuzz.engine.dispatch import fused_arm
from fuzz.engine.library import Gpu
from fuzz.oracle.arms import Arm
from strategies import fields
from strategies.case import Case, FloatDType, Layout
from strategies.cases import cases
from strategies.wide import MOST_TERMS, STEP, with_wide
from tests.strategies.helpers import draw

DRAWS = 1600
ONE_IN = 16
H200 = Gpu(major=9, minor=0, multiprocessors=132, memory=2**37)


@pytest.fixture(scope="module")
def drawn() -> list[tuple[Case, Case]]:
    """Cases before and after."""
    origin = st.shared(cases(), key="origin")
    return draw(st.tuples(origin, with_wide(origin, ONE_IN)), DRAWS)


@pytest.fixture(scope="module")
def widened(drawn: list[tuple[Case, Case]]) -> list[Case]:
    return [after for before, after in drawn if after != before]


def test_some_are_wider_and_only_sizes_differ(drawn: list[tuple[Case, Case]], widened: list[Case]) -> None:
    assert DRAWS / ONE_IN / 16 < len(widened) < DRAWS / ONE_IN
    for before, after in drawn:
        left = {name for name in fields.CHOICES if fields.get(after, name) != fields.get(before, name)}
        assert left <= {"activation.rank"}
        assert after.seed == before.seed


def test_the_tensor_cores_take_them(widened: list[Case]) -> None:
    for case in widened:
        assert case.weight.layout is Layout.OUT_IN
        assert case.weight.in_features % STEP == case.weight.in_features % case.quantization.blocksize == 0
        assert case.weight.in_features <= MOST_TERMS
        if case.activation_dtype is not FloatDType.FLOAT32:
            assert fused_arm(case, H200) is Arm.TENSOR_CORE


def tile(case: Case) -> tuple[int, int, int]:
    """The tile that 0.50 takes on 132 multiprocessors (csrc/gemm_4bit_sm80.cu), by its rules for such results."""
    rows, outputs, terms = case.activation.rows, case.weight.out_features, case.weight.in_features

    def tiles(height: int, width: int) -> int:
        return -(rows // -height) * -(outputs // -width)

    few = (rows % 128 != 0) and rows % 128 <= 64
    split = -(rows // -32) > -(rows // -64) and tiles(64, 64) >= 132
    enough = tiles(128, 128) * 4 >= 132 * 3
    low = rows <= 128 and not (split and enough) and tiles(32, 64) >= 264 and -(rows // -32) * 32 < -(rows // -64) * 64
    if not low and (few or not enough) and tiles(64, 64) > tiles(128, 128):
        low = terms * 2 < outputs and terms * outputs < 2**22 and tiles(32, 64) >= 132
        if not low:
            return (64, 64, 64)
    if low:
        wide = 99 <= tiles(32, 256) <= 132
        return (64, 64, 64) if terms % 128 else (32, 256 if wide else 64, 128)
    return (128, 128 if tiles(128, 128) >= 132 else 64, 64)


def test_the_large_tiles_of_a_gpu_with_132_multiprocessors_are_reached(widened: list[Case]) -> None:
    found = {tile(case) for case in widened}
    assert {(32, 256, 128), (128, 64, 64), (128, 128, 64)} <= found
