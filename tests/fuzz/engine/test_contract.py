"""What the contract says of Cases, row by row."""

from __future__ import annotations

import dataclasses

import pytest

from fuzz.engine.contract import (
    COMPILED_SURFACES,
    CONVENTIONS,
    CUDA_GRAPHS,
    GEMV_SURFACES,
    GIANT_SURFACES,
    GRAPH_SURFACES,
    ISSUE_1862,
    OP_SURFACES,
    OPCHECK_SURFACES,
    ROWS,
    STORED_SURFACES,
    TRITON_SURFACES,
    is_ambiguous,
    matmul_accepts,
    rule,
)
from fuzz.engine.library import Library
from fuzz.engine.paths import PATHS, QUANTIZE_SURFACE
from fuzz.engine.verdict import Ruling
from strategies import fields
from strategies.case import Case, Execution, Layout, Layouts, Memory, PackedView, Quantization, StorageDType, Weight
from strategies.misuse import Misuse
from tests.fuzz.engine.helpers import FUSED, LEGACY, library

CAST = "nn.Linear4bit.to(dtype)"
EVERY_SURFACE = {path.surface for path in PATHS} | {QUANTIZE_SURFACE}
SURFACES = sorted(EVERY_SURFACE - GRAPH_SURFACES - GIANT_SURFACES - TRITON_SURFACES - {CAST})
NOT_GEMV = sorted(set(SURFACES) - GEMV_SURFACES)


def case(  # noqa: PLR0913 - one argument a field
    out_features: int = 64,
    in_features: int = 128,
    *,
    layout: Layout = Layout.OUT_IN,
    blocksize: int = 64,
    storage: StorageDType = StorageDType.UINT8,
    packed: PackedView = PackedView.RETURNED,
) -> Case:
    return Case(
        weight=Weight(out_features=out_features, in_features=in_features, layout=layout),
        quantization=Quantization(blocksize=blocksize, storage=storage),
        packed=packed,
    )


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("loaded", [FUSED, LEGACY], ids=["0.50", "0.48"])
def test_documented_values_of_documented_arguments_are_valid(surface: str, loaded: Library) -> None:
    row = rule(case(), surface, loaded)
    assert row.ruling is Ruling.VALID
    assert "docstring" in row.source
    assert ("opcheck" in row.source) is (surface in COMPILED_SURFACES | OPCHECK_SURFACES)


@pytest.mark.parametrize("surface", sorted(GRAPH_SURFACES))
@pytest.mark.parametrize("loaded", [FUSED, LEGACY], ids=["0.50", "0.48"])
def test_nobody_says_whether_a_call_can_be_captured(surface: str, loaded: Library) -> None:
    row = rule(case(), surface, loaded)
    assert row.ruling is Ruling.UNSPECIFIED
    assert CUDA_GRAPHS in row.source


@pytest.mark.parametrize("surface", sorted(GRAPH_SURFACES))
def test_what_cannot_be_right_without_a_graph_cannot_be_with_one(surface: str) -> None:
    assert rule(case(blocksize=32), surface, LEGACY).ruling is Ruling.INVALID
    assert (rule(case(layout=Layout.IN_OUT), surface, FUSED).ruling is Ruling.INVALID) is (surface in OP_SURFACES)


@pytest.mark.parametrize("surface", sorted(GIANT_SURFACES))
@pytest.mark.parametrize("loaded", [FUSED, LEGACY], ids=["0.50", "0.48"])
def test_nobody_says_how_large_a_weight_may_be(surface: str, loaded: Library) -> None:
    row = rule(case(), surface, loaded)
    assert row.ruling is Ruling.UNSPECIFIED
    assert "how many elements" in row.source
    assert rule(case(blocksize=32), surface, LEGACY).ruling is Ruling.INVALID


@pytest.mark.parametrize("surface", SURFACES)
def test_nobody_says_what_a_size_of_zero_gives(surface: str) -> None:
    for name in fields.SIZES:
        row = rule(fields.replace(case(), name, 0), surface, FUSED)
        assert row.ruling is Ruling.UNSPECIFIED
        assert "zero" in row.source


@pytest.mark.parametrize("surface", SURFACES)
def test_a_blocksize_is_invalid_where_the_docstring_does_not_list_it(surface: str) -> None:
    assert rule(case(blocksize=32), surface, LEGACY).ruling is Ruling.INVALID
    assert rule(case(blocksize=32), surface, FUSED).ruling is Ruling.VALID
    assert "quantize_4bit" in rule(case(blocksize=32), surface, LEGACY).source


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize(
    ("elements", "storage", "fills"),
    [
        (1, StorageDType.UINT8, True),
        (2, StorageDType.FLOAT16, False),
        (3, StorageDType.FLOAT16, True),
        (3, StorageDType.BFLOAT16, True),
        (4, StorageDType.FLOAT32, False),
        (7, StorageDType.FLOAT32, True),
        (8, StorageDType.FLOAT32, True),
        (9, StorageDType.FLOAT32, False),
        (63, StorageDType.FLOAT32, True),
    ],
)
def test_packed_bytes_that_do_not_fill_the_storage_are_unspecified(
    surface: str,
    elements: int,
    storage: StorageDType,
    fills: bool,  # noqa: FBT001
) -> None:
    ruling = rule(case(elements, 64, storage=storage), surface, FUSED).ruling
    assert ruling is Ruling.VALID  # 64 columns fill everything
    narrow = rule(case(elements, 1, storage=storage, blocksize=64), surface, FUSED)
    if not fills:
        assert narrow.ruling is Ruling.UNSPECIFIED
        assert "quant_storage" in narrow.source
    elif surface in GEMV_SURFACES:
        assert "blocksize" in narrow.source
    else:
        assert narrow.ruling is Ruling.VALID


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("loaded", [FUSED, LEGACY], ids=["0.50", "0.48"])
def test_in_out_is_invalid_for_ops_and_valid_for_the_matrix_path(surface: str, loaded: Library) -> None:
    row = rule(case(layout=Layout.IN_OUT), surface, loaded)
    assert row.ruling is (Ruling.INVALID if surface in OP_SURFACES else Ruling.VALID)
    if surface in OP_SURFACES or surface == "functional.matmul_4bit":
        assert ISSUE_1862 in row.source


@pytest.mark.parametrize("surface", SURFACES)
def test_a_blocksize_that_does_not_divide_the_row_is_unspecified_for_gemv_only(surface: str) -> None:
    row = rule(case(in_features=96), surface, FUSED)
    assert row.ruling is (Ruling.UNSPECIFIED if surface in GEMV_SURFACES else Ruling.VALID)
    assert rule(case(in_features=192), surface, FUSED).ruling is Ruling.VALID


@pytest.mark.parametrize("surface", sorted(GEMV_SURFACES))
def test_in_out_outweighs_a_blocksize_that_does_not_divide_the_row(surface: str) -> None:
    assert rule(case(in_features=96, layout=Layout.IN_OUT), surface, FUSED).ruling is Ruling.INVALID


@pytest.mark.parametrize("surface", SURFACES)
def test_an_undocumented_blocksize_outweighs_everything(surface: str) -> None:
    everything = case(3, 3, layout=Layout.IN_OUT, blocksize=32, storage=StorageDType.FLOAT32)
    assert rule(everything, surface, LEGACY).ruling is Ruling.INVALID


def test_every_row_cites_a_source_and_names_surfaces_that_exist() -> None:
    for row in ROWS:
        assert len(row.source) > 20
        assert "\n" not in row.source
        assert row.surfaces <= EVERY_SURFACE


def test_stored_surfaces_are_surfaces_of_paths() -> None:
    assert EVERY_SURFACE >= STORED_SURFACES


def test_gemv_surfaces_are_those_of_the_gemv_paths() -> None:
    assert {path.surface for path in PATHS if path.name.startswith("gemv")} == GEMV_SURFACES


@pytest.mark.parametrize(
    ("layout", "packed", "fused", "legacy"),
    [
        (Layout.OUT_IN, PackedView.RETURNED, True, False),
        (Layout.OUT_IN, PackedView.TRANSPOSED, True, True),
        (Layout.IN_OUT, PackedView.RETURNED, True, True),
        (Layout.IN_OUT, PackedView.TRANSPOSED, True, False),
    ],
)
def test_matmul_accepts(layout: Layout, packed: PackedView, fused: bool, legacy: bool) -> None:  # noqa: FBT001
    assert matmul_accepts(case(layout=layout, packed=packed), library(fused=True)) is fused
    assert matmul_accepts(case(layout=layout, packed=packed), library(fused=False)) is legacy


@pytest.mark.parametrize("packed", PackedView)
def test_a_square_in_out_weight_is_ambiguous_from_fused_releases_on(packed: PackedView) -> None:
    square = case(64, 64, layout=Layout.IN_OUT, packed=packed)
    assert is_ambiguous(square)
    assert not matmul_accepts(square, library(fused=True))
    assert matmul_accepts(square, library(fused=False)) is (packed is PackedView.RETURNED)
    assert not is_ambiguous(case(64, 64))
    assert not is_ambiguous(case(64, 128, layout=Layout.IN_OUT))
    assert matmul_accepts(case(64, 64), library(fused=True))


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("layout", Layout)
def test_every_layout_has_one_convention_with_a_source(fused: bool, layout: Layout) -> None:  # noqa: FBT001
    (convention,) = [row for row in CONVENTIONS if row.fused is fused and row.layout is layout]
    assert convention.views
    assert len(convention.source) > 20


def test_a_cast_layer_may_refuse_and_must_not_be_wrong() -> None:
    assert rule(case(), CAST, FUSED).ruling is Ruling.UNSPECIFIED
    assert rule(case(blocksize=32), CAST, LEGACY).ruling is Ruling.INVALID


@pytest.mark.parametrize("name", ["packed", "absmax"])
def test_what_was_moved_is_unspecified_where_it_is_handed_over(name: str) -> None:
    moved = dataclasses.replace(case(), memory=Layouts(**{name: Memory.STRIDED}))
    for surface in STORED_SURFACES:
        assert rule(moved, surface, FUSED).ruling is Ruling.UNSPECIFIED
    assert rule(moved, QUANTIZE_SURFACE, FUSED).ruling is Ruling.VALID
    turned = dataclasses.replace(moved, weight=dataclasses.replace(moved.weight, layout=Layout.IN_OUT))
    assert rule(turned, "functional.gemv_4bit", FUSED).ruling is Ruling.INVALID
    assert rule(turned, "functional.matmul_4bit", FUSED).ruling is Ruling.UNSPECIFIED
    strided = dataclasses.replace(case(), memory=Layouts(activation=Memory.STRIDED, weight=Memory.STRIDED))
    assert rule(strided, "functional.matmul_4bit", FUSED).ruling is Ruling.VALID


@pytest.mark.parametrize("surface", sorted(TRITON_SURFACES))
@pytest.mark.parametrize(
    "asked",
    [
        case(),
        case(blocksize=32),
        case(0, 64),
        case(3, 1, storage=StorageDType.FLOAT16),
        case(layout=Layout.IN_OUT),
        dataclasses.replace(case(), memory=Layouts(weight=Memory.STRIDED, packed=Memory.STRIDED)),
        dataclasses.replace(case(), execution=Execution(misuse=Misuse.SHORT_ACTIVATION)),
    ],
)
@pytest.mark.parametrize("loaded", [FUSED, LEGACY], ids=["0.50", "0.48"])
def test_nobody_promises_that_triton_takes_a_call_on_this_device(surface: str, asked: Case, loaded: Library) -> None:
    row = rule(asked, surface, loaded)
    assert row.ruling is Ruling.UNSPECIFIED
    assert "backends/xpu/ops.py" in row.source
    assert "bitsandbytes/_ops.py" in row.source


def test_triton_surfaces_are_those_of_the_triton_paths() -> None:
    assert {path.surface for path in PATHS if path.name.startswith("triton_")} == TRITON_SURFACES
