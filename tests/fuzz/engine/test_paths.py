"""The table of paths: what applies to which Case on which library."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from fuzz.engine.library import Library
from fuzz.engine.path import Yields
from fuzz.engine.paths import BY_NAME, PATHS, QUANTIZE
from fuzz.oracle.arms import Arm
from fuzz.triage import verify
from fuzz.triage.verify import OTHER_PATHS, paths_in
from reports.script_calls import BIAS_GRADIENTS, CALLS, INPUT_GRADIENTS, QUANTIZING, WEIGHT_ONLY
from strategies import fields
from strategies.case import Activation, Case, Execution, FloatDType, Layout, Mode, PackedView, StorageDType, Weight
from tests.fuzz.engine.helpers import FUSED, LEGACY, library

CPU = library()
REPACKING = library(cpu_repack=True)
WITH_TRITON = dataclasses.replace(FUSED, triton=True)
ONE_ROW = Case(weight=Weight(out_features=8, in_features=64))


def names(case: Case, loaded: Library) -> set[str]:
    return {path.name for path in PATHS if path.takes(case, loaded)}


def test_names_are_unique_and_each_has_a_call_in_scripts() -> None:
    assert len(BY_NAME) == len(PATHS)
    assert set(CALLS) == set(BY_NAME) | {QUANTIZE}


def test_a_path_comes_after_the_one_it_requires() -> None:
    order = [path.name for path in PATHS]
    for path in PATHS:
        if path.requires:
            assert order.index(path.requires) < order.index(path.name)


def test_paths_of_one_row_on_0_50() -> None:
    every = {"dequantize_4bit", "dequantize_linear", "matmul_4bit", "gemm_4bit_op", "linear4bit", "gemv_4bit", "gemv_4bit_op"}
    assert names(ONE_ROW, FUSED) == every
    assert names(ONE_ROW, library(device="cuda", out_variant=True)) == every | {"gemv_4bit_out"}


def test_paths_of_one_row_on_0_48() -> None:
    assert names(ONE_ROW, LEGACY) == {"dequantize_4bit", "dequantize_linear", "linear4bit", "gemv_4bit", "gemv_4bit_op"}
    turned = Case(weight=ONE_ROW.weight, packed=PackedView.TRANSPOSED)
    assert names(turned, LEGACY) == {"dequantize_4bit", "dequantize_linear", "matmul_4bit", "gemv_4bit", "gemv_4bit_op"}


def test_gemv_needs_one_row_and_no_grad() -> None:
    gemv = {name for name, path in BY_NAME.items() if name.startswith("gemv") and path.mode is None}
    loaded = library(device="cuda", out_variant=True)
    assert gemv <= names(Case(activation=Activation(leading=(1, 1))), loaded)
    assert not gemv & names(Case(activation=Activation(leading=(2,))), loaded)
    assert not gemv & names(Case(execution=Execution(grad=True)), loaded)


def test_a_square_in_out_weight_is_left_to_the_paths_that_can_tell() -> None:
    square = Case(weight=Weight(out_features=8, in_features=8, layout=Layout.IN_OUT))
    assert names(square, FUSED) == {"dequantize_4bit", "dequantize_linear"}


def test_the_module_takes_a_weight_as_it_quantizes_it_itself() -> None:
    assert "linear4bit" not in names(Case(weight=Weight(in_features=2, layout=Layout.IN_OUT)), FUSED)
    assert "linear4bit" not in names(Case(packed=PackedView.TRANSPOSED), FUSED)


@pytest.mark.parametrize(
    ("name", "loaded", "arms"),
    [
        ("gemv_4bit", FUSED, (Arm.GEMV,)),
        ("gemv_4bit_op", LEGACY, (Arm.GEMV,)),
        ("gemv_4bit_out", FUSED, (Arm.GEMV,)),
        ("gemv_4bit", CPU, (Arm.LINEAR,)),
        ("gemv_4bit", REPACKING, (Arm.CPU_BF16,)),
        ("matmul_4bit", FUSED, (Arm.SIMT, Arm.TENSOR_CORE, Arm.LINEAR)),
        ("matmul_4bit", LEGACY, (Arm.GEMV,)),
        ("matmul_4bit", CPU, (Arm.LINEAR,)),
        ("matmul_4bit", REPACKING, (Arm.LINEAR,)),
        ("gemm_4bit_op", FUSED, (Arm.SIMT, Arm.TENSOR_CORE, Arm.LINEAR)),
        ("gemm_4bit_op", CPU, (Arm.LINEAR,)),
        ("linear4bit", FUSED, (Arm.SIMT, Arm.TENSOR_CORE, Arm.LINEAR)),
        ("linear4bit", LEGACY, (Arm.GEMV,)),
        ("linear4bit", CPU, (Arm.LINEAR,)),
        ("linear4bit", REPACKING, (Arm.CPU_BF16,)),
        ("dequantize_linear", FUSED, (Arm.LINEAR,)),
        ("dequantize_linear", REPACKING, (Arm.LINEAR,)),
        ("dequantize_4bit", FUSED, (Arm.DEQUANTIZE,)),
        ("dequantize_4bit", REPACKING, (Arm.DEQUANTIZE,)),
        ("triton_quantize_4bit", WITH_TRITON, (Arm.TRITON_QUANTIZE,)),
        ("triton_dequantize_4bit", WITH_TRITON, (Arm.TRITON_DEQUANTIZE,)),
        ("triton_dequantize_4bit_inplace", WITH_TRITON, (Arm.TRITON_DEQUANTIZE,)),
        ("triton_gemv_4bit", WITH_TRITON, (Arm.TRITON_LINEAR,)),
    ],
)
def test_arms(name: str, loaded: Library, arms: tuple[Arm, ...]) -> None:
    assert BY_NAME[name].arms(ONE_ROW, loaded) == arms


def test_a_module_that_trains_is_not_repacked() -> None:
    assert BY_NAME["linear4bit"].arms(Case(execution=Execution(grad=True)), REPACKING) == (Arm.LINEAR,)


def test_the_dtype_that_weights_pass_through() -> None:
    mixed = Case(weight=Weight(dtype=FloatDType.FLOAT16), activation=Activation(dtype=FloatDType.FLOAT32))
    turned = Case(weight=Weight(in_features=2, dtype=FloatDType.FLOAT16, layout=Layout.IN_OUT), activation=mixed.activation)
    matmul = BY_NAME["matmul_4bit"]
    assert matmul.stored(mixed, FUSED) is FloatDType.FLOAT32
    assert matmul.stored(mixed, LEGACY) is FloatDType.FLOAT16
    assert matmul.stored(turned, FUSED) is FloatDType.FLOAT16
    assert BY_NAME["dequantize_linear"].stored(mixed, FUSED) is FloatDType.FLOAT16
    assert BY_NAME["gemv_4bit"].stored(mixed, FUSED) is FloatDType.FLOAT32


def test_only_gemv_takes_no_bias_and_only_dequantize_yields_the_weight() -> None:
    assert {path.name for path in PATHS if path.mode is None and not path.adds_bias} == {"gemv_4bit", "gemv_4bit_op", "gemv_4bit_out"}
    assert {path.name for path in PATHS if path.mode is None and path.yields_weight} == {"dequantize_4bit"}
    assert {path.name for path in PATHS if path.yields_weight} == WEIGHT_ONLY - QUANTIZING
    assert {path.name for path in PATHS if path.yields is Yields.PACKED} == QUANTIZING - {QUANTIZE}
    assert all((path.quantizes is not None) is (path.yields is Yields.PACKED) for path in PATHS)
    assert {path.name for path in PATHS if path.yields is Yields.INPUT_GRADIENT} == INPUT_GRADIENTS
    assert {path.name for path in PATHS if path.yields is Yields.BIAS_GRADIENT} == BIAS_GRADIENTS


@pytest.mark.parametrize("mode", Mode)
def test_a_mode_adds_its_paths_and_takes_none_away(mode: Mode) -> None:
    case = dataclasses.replace(ONE_ROW, bias=True)
    added = names(dataclasses.replace(case, execution=Execution(mode=mode)), WITH_TRITON) - names(case, WITH_TRITON)
    assert added == {path.name for path in PATHS if path.mode is mode and not path.name.endswith("out_opcheck")}
    assert names(case, WITH_TRITON) <= names(dataclasses.replace(case, execution=Execution(mode=mode)), WITH_TRITON)
    assert bool(added) is (mode is not Mode.CALL)


IN_TRITON = dataclasses.replace(ONE_ROW, execution=Execution(mode=Mode.TRITON))


def of_triton(case: Case, loaded: Library = WITH_TRITON) -> set[str]:
    return {name.removeprefix("triton_") for name in names(case, loaded) if name.startswith("triton_")}


@pytest.mark.parametrize(
    ("name", "value", "missing"),
    [
        ("quantization.compress_statistics", True, {"quantize_4bit"}),
        ("packed", PackedView.TRANSPOSED, {"dequantize_4bit", "dequantize_4bit_inplace"}),
        ("weight.layout", Layout.IN_OUT, {"gemv_4bit"}),
        ("execution.grad", True, {"gemv_4bit"}),
        ("activation.rows", 2, {"gemv_4bit"}),
        ("execution.default_dtype", FloatDType.BFLOAT16, {"gemv_4bit"}),
        ("quantization.storage", StorageDType.FLOAT16, set()),
    ],
)
def test_triton_is_asked_for_what_it_has(name: str, value: Any, missing: set[str]) -> None:
    every = {"quantize_4bit", "dequantize_4bit", "dequantize_4bit_inplace", "gemv_4bit"}
    assert of_triton(IN_TRITON) == every
    assert of_triton(fields.replace(IN_TRITON, name, value)) == every - missing


def test_triton_is_asked_where_it_can_be_called() -> None:
    for loaded in (FUSED, LEGACY, CPU, REPACKING):
        assert not of_triton(IN_TRITON, loaded)
    assert not of_triton(ONE_ROW)


def test_a_path_in_a_mode_says_what_it_is_built_on() -> None:
    for path in PATHS:
        assert path.mode is None or BY_NAME[str(path.requires)].mode is None


def test_the_other_paths_of_a_finding_are_all_paths() -> None:
    """`verify` names them again, because the parent must not import torch."""
    assert {path.name: path.surface for path in PATHS} == OTHER_PATHS
    for mode in Mode:
        assert set(paths_in(mode)) == {path.name for path in PATHS if path.mode in {None, mode}}
    assert verify.QUANTIZE == QUANTIZE
