"""Tables of what was measured: JSON both ways, where they are looked for, and what they allow."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fuzz.oracle import calibration
from fuzz.oracle.arms import Arm
from fuzz.oracle.calibration import TABLES, Calibration, Row, find, table_path, write
from fuzz.oracle.expected import Arithmetic
from fuzz.oracle.operands import Nested
from fuzz.oracle.tensor_core import AMPERE, HOPPER, VOLTA

CONFIRMED = Row(arm=Arm.SIMT, dtype="float16", nested=(Nested.FUSED,), outputs=10**9, outside_bound=0, outside_interval=0, different=0)
TABLE = Calibration(device="NVIDIA H200", capability="9.0", release="0.50.2", system={"torch": "2.13.0"}, rows=(CONFIRMED,))

counts = st.integers(0, 10**10)
rows = st.builds(
    Row,
    arm=st.sampled_from(Arm),
    dtype=st.sampled_from(["float16", "bfloat16", "float32"]),
    nested=st.lists(st.sampled_from(Nested), unique=True).map(tuple),
    outputs=counts,
    outside_bound=counts,
    outside_interval=counts,
    different=counts,
)
tables = st.builds(
    Calibration,
    device=st.text(max_size=20),
    capability=st.sampled_from(["", "7.5", "9.0", "12.0"]),
    release=st.text(max_size=10),
    system=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    rows=st.lists(rows, max_size=5).map(tuple),
)


def table(*changed: Row, capability: str = "9.0") -> Calibration:
    return dataclasses.replace(TABLE, rows=changed, capability=capability)


@given(tables)
def test_json_round_trip(made: Calibration) -> None:
    text = json.dumps(made.to_json(), allow_nan=False)
    assert Calibration.from_json(json.loads(text)) == made
    assert Calibration.from_json_text(text) == made


def test_a_row_says_what_may_judge() -> None:
    assert CONFIRMED.usable
    assert CONFIRMED.ordered
    reordered = dataclasses.replace(CONFIRMED, different=1)
    assert reordered.usable
    assert not reordered.ordered
    for unusable in (
        dataclasses.replace(CONFIRMED, outputs=0),
        dataclasses.replace(CONFIRMED, nested=()),
        dataclasses.replace(CONFIRMED, outside_interval=1, different=1),
        dataclasses.replace(CONFIRMED, outside_interval=1),
    ):
        assert not unusable.usable
        assert not unusable.ordered


def test_a_row_is_found_by_arm_and_dtype() -> None:
    other = dataclasses.replace(CONFIRMED, arm=Arm.GEMV, dtype="bfloat16")
    made = table(CONFIRMED, other)
    assert made.row(Arm.SIMT, torch.float16) is CONFIRMED
    assert made.row(Arm.GEMV, torch.bfloat16) is other
    assert made.row(Arm.SIMT, torch.bfloat16) is None
    assert made.row(Arm.LINEAR, torch.float16) is None


def test_what_was_confirmed_computes_as_it_was_confirmed() -> None:
    assert table(CONFIRMED).arithmetics((Arm.SIMT,), torch.float16) == (
        Arithmetic(arm=Arm.SIMT, nested=Nested.FUSED, core=HOPPER, ordered=True),
    )
    reordered = dataclasses.replace(CONFIRMED, different=1)
    assert table(reordered).arithmetics((Arm.SIMT,), torch.float16) == (
        Arithmetic(arm=Arm.SIMT, nested=Nested.FUSED, core=HOPPER, ordered=False),
    )


def test_evaluations_of_scales_that_were_not_told_apart_are_all_allowed() -> None:
    both = dataclasses.replace(CONFIRMED, nested=(Nested.FUSED, Nested.SEPARATE))
    assert [one.nested for one in table(both).arithmetics((Arm.SIMT,), torch.float16)] == [Nested.FUSED, Nested.SEPARATE]


def test_of_several_arms_each_is_allowed_or_nothing_is_known() -> None:
    core = dataclasses.replace(CONFIRMED, arm=Arm.TENSOR_CORE, different=4)
    found = table(CONFIRMED, core).arithmetics((Arm.SIMT, Arm.TENSOR_CORE), torch.float16)
    assert [(one.arm, one.ordered) for one in found] == [(Arm.SIMT, True), (Arm.TENSOR_CORE, False)]
    assert table(CONFIRMED).arithmetics((Arm.SIMT, Arm.TENSOR_CORE), torch.float16) == ()
    unusable = dataclasses.replace(core, outside_interval=1)
    assert table(CONFIRMED, unusable).arithmetics((Arm.SIMT, Arm.TENSOR_CORE), torch.float16) == ()
    assert table(CONFIRMED, unusable).arithmetics((Arm.TENSOR_CORE,), torch.float16) == ()
    assert table(CONFIRMED, unusable).arithmetics((Arm.SIMT,), torch.float16) != ()
    assert table(CONFIRMED).arithmetics((Arm.SIMT,), torch.float32) == ()


def test_the_order_of_linear_is_never_known() -> None:
    (linear,) = table(dataclasses.replace(CONFIRMED, arm=Arm.LINEAR)).arithmetics((Arm.LINEAR,), torch.float16)
    assert not linear.ordered


def test_only_gemv_adds_a_bias_late() -> None:
    both = table(CONFIRMED, dataclasses.replace(CONFIRMED, arm=Arm.GEMV))
    for late_bias in (False, True):
        found = both.arithmetics((Arm.SIMT, Arm.GEMV), torch.float16, late_bias=late_bias)
        assert [one.late_bias for one in found] == [False, late_bias]


@pytest.mark.parametrize(
    ("capability", "core"), [("7.0", VOLTA), ("7.5", VOLTA), ("8.6", AMPERE), ("9.0", HOPPER), ("12.0", HOPPER), ("", VOLTA)]
)
def test_the_tensor_core_is_that_of_the_device_and_the_weakest_of_an_unknown_one(capability: str, core: object) -> None:
    (found,) = table(CONFIRMED, capability=capability).arithmetics((Arm.SIMT,), torch.float16)
    assert found.core is core
    (unknown,) = table(CONFIRMED, capability="99.0").arithmetics((Arm.SIMT,), torch.float16)
    assert unknown.core is VOLTA


def test_a_table_is_found_where_it_was_written(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert find("NVIDIA H200", "0.50.2", folder) is None
    path = write(TABLE, folder)
    assert path == folder / "nvidia-h200_0.50.2.json" == table_path("NVIDIA H200", "0.50.2", folder)
    assert find("NVIDIA H200", "0.50.2", folder) == TABLE
    assert find("NVIDIA H200", "0.50.1", folder) is None
    assert find("NVIDIA H100", "0.50.2", folder) is None


def test_a_table_that_is_written_again_replaces_the_one_that_was_read(tmp_path: Path) -> None:
    write(TABLE, tmp_path)
    assert find(TABLE.device, TABLE.release, tmp_path) == TABLE
    again = dataclasses.replace(TABLE, rows=())
    write(again, tmp_path)
    assert find(TABLE.device, TABLE.release, tmp_path) == again


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("NVIDIA H200", "nvidia-h200_1.0.json"),
        ("NVIDIA GeForce RTX 4090", "nvidia-geforce-rtx-4090_1.0.json"),
        ("cpu AVX512", "cpu-avx512_1.0.json"),
        ("../../etc (A/B)", "etc-a-b_1.0.json"),
    ],
)
def test_names_of_devices_become_names_of_files(device: str, name: str) -> None:
    assert table_path(device, "1.0") == TABLES / name


def test_nothing_is_assumed_of_a_device_that_was_not_measured() -> None:
    assert find("no such device", "0.50.2") is None
    assert find("NVIDIA H200", "0.0.0") is None


def test_every_committed_table_is_in_its_place_and_can_be_read() -> None:
    for path in calibration.TABLES.glob("*.json"):
        made = Calibration.from_json_text(path.read_text(encoding="utf-8"))
        assert table_path(made.device, made.release) == path
        assert len({(row.arm, row.dtype) for row in made.rows}) == len(made.rows)
        assert not any(row.outside_bound for row in made.rows)
