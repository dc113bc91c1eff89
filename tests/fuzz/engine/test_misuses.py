"""What is wrong on purpose is wrong, reaches the paths that read it, and is what a script does too."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from fuzz.engine import contract
from fuzz.engine.calls import prepare
from fuzz.engine.library import inspect_library
from fuzz.engine.misuses import concerns, misused
from fuzz.engine.paths import BY_NAME, PATHS, QUANTIZE_SURFACE
from fuzz.engine.runner import run_case
from fuzz.engine.tensors import build
from fuzz.engine.verdict import Ruling
from reports.script import write_script
from strategies import fields
from strategies.case import Activation, Case, Execution, Fill, Mode, Quantization, Weight
from strategies.misuse import OF_OUT, Misuse
from tests.fuzz.engine.helpers import LEGACY
from tests.reports.helpers import execute, finding

WRONG = [misuse for misuse in Misuse if misuse is not Misuse.NONE and misuse not in OF_OUT]
CASE = Case(weight=Weight(out_features=6, in_features=64), activation=Activation(leading=(3,)), bias=True)
LIBRARY = inspect_library("cpu")


def case_of(misuse: Misuse) -> Case:
    return dataclasses.replace(CASE, execution=Execution(misuse=misuse))


def described(weight: Any, state: Any, x: torch.Tensor, bias: torch.Tensor | None) -> dict[str, Any]:
    """What of a call a misuse may change."""
    return {
        "packed": tuple(weight.shape),
        "scales": (state.absmax.numel(), state.absmax.dtype),
        "state": tuple(state.shape),
        "activation": (tuple(x.shape), x.dtype),
        "bias": None if bias is None else (tuple(bias.shape), bias.dtype),
    }


@pytest.mark.parametrize("misuse", [misuse for misuse in WRONG if misuse is not Misuse.CPU_ACTIVATION])
def test_one_thing_is_wrong_and_the_right_call_is_left_alone(misuse: Misuse) -> None:
    right = prepare(CASE, build(CASE), LIBRARY)
    prepared = prepare(case_of(misuse), build(case_of(misuse)), LIBRARY)
    wrong = misused(prepared)
    before, after = (described(one.packed, one.state, one.activation, one.bias) for one in (right, wrong))
    assert sum(before[name] != after[name] for name in before) == 1
    assert described(prepared.packed, prepared.state, prepared.activation, prepared.bias) == before


def test_nothing_is_wrong_where_nothing_is_asked_for() -> None:
    prepared = prepare(CASE, build(CASE), LIBRARY)
    assert misused(prepared) is prepared


@pytest.mark.parametrize(
    ("misuse", "paths"),
    [
        (Misuse.NONE, {"dequantize_4bit", "dequantize_linear", "matmul_4bit", "gemv_4bit", "linear4bit"}),
        (Misuse.SHORT_ACTIVATION, {"matmul_4bit", "gemv_4bit", "linear4bit"}),
        (Misuse.INTEGER_ACTIVATION, {"matmul_4bit", "gemv_4bit"}),
        (Misuse.DOUBLE_ACTIVATION, {"matmul_4bit", "gemv_4bit"}),
        (Misuse.CPU_ACTIVATION, set()),
        (Misuse.OTHER_BIAS, {"matmul_4bit"}),
        (Misuse.LONG_BIAS, {"matmul_4bit", "linear4bit"}),
        (Misuse.SHORT_ABSMAX, {"dequantize_4bit", "dequantize_linear", "matmul_4bit", "gemv_4bit"}),
        (Misuse.HALF_ABSMAX, {"dequantize_4bit", "dequantize_linear", "matmul_4bit", "gemv_4bit"}),
        (Misuse.FOREIGN_STATE, {"dequantize_4bit", "dequantize_linear", "matmul_4bit", "gemv_4bit"}),
    ],
)
def test_paths_run_where_they_read_what_is_wrong(misuse: Misuse, paths: set[str]) -> None:
    names = ("dequantize_4bit", "dequantize_linear", "matmul_4bit", "gemv_4bit", "linear4bit")
    assert {name for name in names if concerns(case_of(misuse), BY_NAME[name], LIBRARY)} == paths


@pytest.mark.parametrize(("in_features", "asked"), [(64, True), (65, False)])
def test_before_0_50_torch_multiplies_any_dtype_where_gemv_does_not(in_features: int, asked: bool) -> None:  # noqa: FBT001
    case = fields.replace(case_of(Misuse.DOUBLE_ACTIVATION), "weight.in_features", in_features)
    case = fields.replace(case, "activation.leading", ())
    assert concerns(case, BY_NAME["matmul_4bit"], LEGACY) is asked
    assert concerns(case, BY_NAME["gemv_4bit"], LEGACY)


@pytest.mark.parametrize(
    ("misuse", "out_features", "in_features", "wrong"),
    [
        (Misuse.SHORT_ACTIVATION, 1, 2, False),
        (Misuse.SHORT_ACTIVATION, 63, 64, False),
        (Misuse.SHORT_ACTIVATION, 65, 64, True),
        (Misuse.LONG_ACTIVATION, 65, 64, False),
        (Misuse.LONG_ACTIVATION, 63, 64, True),
        (Misuse.INTEGER_ACTIVATION, 64, 64, True),
        (Misuse.SHORT_BIAS, 2, 64, False),
        (Misuse.SHORT_BIAS, 3, 64, True),
    ],
)
def test_what_may_be_right_is_left_alone(misuse: Misuse, out_features: int, in_features: int, wrong: bool) -> None:  # noqa: FBT001
    case = dataclasses.replace(case_of(misuse), weight=Weight(out_features=out_features, in_features=in_features))
    assert concerns(case, BY_NAME["matmul_4bit"], LIBRARY) == wrong


def test_where_there_is_nothing_to_spoil_no_path_runs() -> None:
    for misuse in WRONG:
        case = Case(execution=Execution(misuse=misuse))
        assert not any(concerns(case, path, LIBRARY) for path in BY_NAME.values()), misuse


def test_a_bias_of_another_dtype_may_be_taken() -> None:
    assert contract.rule(case_of(Misuse.OTHER_BIAS), "functional.matmul_4bit", LIBRARY).ruling is Ruling.UNSPECIFIED


def test_scales_of_another_dtype_may_be_taken_and_are_none_where_statistics_are_compressed() -> None:
    case = case_of(Misuse.HALF_ABSMAX)
    assert contract.rule(case, "functional.dequantize_4bit", LIBRARY).ruling is Ruling.UNSPECIFIED
    compressed = dataclasses.replace(case, quantization=Quantization(compress_statistics=True))
    assert not concerns(compressed, BY_NAME["dequantize_4bit"], LIBRARY)


def test_the_scales_that_were_given_are_what_a_result_is_judged_by() -> None:
    case = dataclasses.replace(case_of(Misuse.HALF_ABSMAX), weight=Weight(out_features=6, in_features=64, fill=Fill.NORMAL))
    verdicts = {verdict.path: verdict for verdict in run_case(case, LIBRARY, lambda _: None)}
    verdict = verdicts["dequantize_4bit"]
    assert (verdict.symptom, verdict.ruling) == (None, Ruling.UNSPECIFIED)
    assert verdict.model is not None
    spoiled = misused(prepare(case, build(case), LIBRARY))
    assert not torch.equal(spoiled.state.absmax.float(), prepare(case, build(case), LIBRARY).state.absmax)


@pytest.mark.parametrize("misuse", [misuse for misuse in WRONG if misuse not in {Misuse.HALF_ABSMAX, Misuse.OTHER_BIAS}])
def test_an_exception_is_due_from_every_call_but_the_quantization(misuse: Misuse) -> None:
    for path in BY_NAME.values():
        if path.takes(case_of(misuse), LIBRARY) and concerns(case_of(misuse), path, LIBRARY):
            assert contract.rule(case_of(misuse), path.surface, LIBRARY).ruling is Ruling.INVALID
    assert contract.rule(case_of(misuse), QUANTIZE_SURFACE, LIBRARY).ruling is not Ruling.INVALID


@pytest.mark.parametrize("misuse", [Misuse.SHORT_ACTIVATION, Misuse.LONG_BIAS])
def test_a_path_that_raises_is_right(misuse: Misuse) -> None:
    for verdict in run_case(case_of(misuse), LIBRARY, lambda _: None):
        if verdict.path == "matmul_4bit":
            assert verdict.symptom is None
            assert "Error" in verdict.got


@pytest.mark.parametrize("misuse", [misuse for misuse in WRONG if misuse is not Misuse.CPU_ACTIVATION])
def test_a_script_does_the_same(misuse: Misuse) -> None:
    case = case_of(misuse)
    script = write_script(finding("matmul_4bit", "missing error", case, ruling="invalid"))
    _, _, names = execute(script)
    wrong = misused(prepare(case, build(case), LIBRARY))
    assert described(names["packed"], names["state"], names["x"], names["bias"]) == described(
        wrong.packed, wrong.state, wrong.activation, wrong.bias
    )


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode not in {Mode.CALL, Mode.OUT}])
def test_wrong_calls_are_made_in_no_other_mode(mode: Mode) -> None:
    """What they would be judged by is right for the operands that a Case has, and not for the wrong ones."""
    case = Case(bias=True, weight=Weight(out_features=65, in_features=128), execution=Execution(mode=mode, misuse=Misuse.OTHER_BIAS))
    assert not any(concerns(case, path, LIBRARY) for path in PATHS)


@pytest.mark.parametrize(("misuse", "judged"), [(Misuse.OTHER_BIAS, True), (Misuse.SHORT_BIAS, False)])
def test_where_numbers_are_judged_what_comes_before_a_path_is_run_too(misuse: Misuse, *, judged: bool) -> None:
    """Otherwise a dense product would be blamed for the weight that `dequantize_4bit` returned."""
    ran = [verdict.path for verdict in run_case(case_of(misuse), LIBRARY, lambda _: None)]
    assert "matmul_4bit" in ran
    assert ("dequantize_4bit" in ran) is judged
