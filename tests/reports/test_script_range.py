"""Scripts of results that left a 16-bit range although the right ones are in it."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from fuzz.engine.calls import Prepared
from fuzz.engine.judge_values import judge_values
from fuzz.engine.references import References
from fuzz.engine.tensors import Inputs
from fuzz.engine.verdict import PathVerdict, Symptom
from fuzz.oracle.arms import Arm
from fuzz.oracle.bounds import error_model, interval
from reports.finding import Finding
from reports.script import write_script
from reports.script_calls import CALLS, WEIGHT_ONLY
from strategies import fields
from strategies.case import Activation, Case, Fill, FloatDType, Layout, Quantization, QuantType, Weight
from tests.fuzz.engine.subjects import path_with, prepared_of, question_on, right
from tests.reports.helpers import finding
from tests.reports.running import alone, lint, ran, returning

PRODUCTS = [path for path in CALLS if path not in WEIGHT_ONLY]
OVERFLOWING = [
    (Fill.CANCELLING, Fill.HUGE, 64, 0),
    (Fill.NORMAL, Fill.HUGE, 64, 0),
    (Fill.INTEGERS, Fill.HUGE, 64, 0),
    (Fill.HUGE, Fill.CANCELLING, 64, 0),
    (Fill.CANCELLING, Fill.HUGE, 1024, 0),
]
"""Fills of activation and weight, terms and seed of products that overflow in float16 although their sums do not."""


def multiplied(fills: tuple[Fill, Fill], terms: int, seed: int, *, dtype: FloatDType = FloatDType.FLOAT16, bias: bool = False) -> Case:
    activation, weight = fills
    return Case(
        weight=Weight(out_features=4, in_features=terms, dtype=dtype, fill=weight),
        quantization=Quantization(quant_type=QuantType.NF4, blocksize=64),
        activation=Activation(leading=(2,), fill=activation),
        bias=bias,
        seed=seed,
    )


def model_of(case: Case) -> dict[str, float]:
    """The a-priori bound of the kernel that rounds products."""
    dtype = getattr(torch, case.activation_dtype.value)
    return dataclasses.asdict(error_model((Arm.SIMT,), dtype, case.weight.in_features, dtype, bias=case.bias))


def out_of_range(case: Case, how: str = "overflow", path: str = "matmul_4bit", **changes: Any) -> Finding:
    return finding(path, "range divergence", case, how=how, arms=("simt",), **{"model": model_of(case), **changes})


def judged(prepared: Prepared, result: torch.Tensor) -> PathVerdict:
    references = References(Inputs(prepared.weight, prepared.activation, prepared.bias), prepared)
    return judge_values(question_on(path_with(Arm.SIMT), prepared), result, references)


@pytest.mark.parametrize(("activation", "weight", "terms", "seed"), OVERFLOWING)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_what_the_judge_calls_an_overflow_gives_status_1_and_a_kernel_that_does_not_0(  # noqa: PLR0913, PLR0917 - a Case's parts
    monkeypatch: pytest.MonkeyPatch,
    activation: Fill,
    weight: Fill,
    terms: int,
    seed: int,
    bias: bool,  # noqa: FBT001
    compressed: bool,  # noqa: FBT001
) -> None:
    case = multiplied((activation, weight), terms, seed, bias=bias)
    case = fields.replace(case, "quantization.compress_statistics", compressed)
    prepared = prepared_of(case)
    overflowed, dense = right(Arm.SIMT)(prepared), right(Arm.LINEAR)(prepared)
    verdict = judged(prepared, overflowed)
    assert (verdict.symptom, verdict.how) == (Symptom.RANGE_DIVERGENCE, "overflow")
    returning(monkeypatch, "matmul_4bit", overflowed)
    status, output, _ = ran(out_of_range(case))
    assert status == 1
    assert ", which float16 can represent\n" in output
    counted = int(verdict.got.rsplit("; ", 1)[1].split()[0])
    assert f"; {counted} of 8" in output
    returning(monkeypatch, "matmul_4bit", dense)
    status, output, _ = ran(out_of_range(case))
    assert status == 0, output
    assert "; 0 of 8" in output


def test_the_installed_bitsandbytes_is_in_range_on_its_cpu_backend() -> None:
    for activation, weight, terms, seed in OVERFLOWING:
        for path in ("matmul_4bit", "gemm_4bit_op", "dequantize_linear"):
            status, output, _ = ran(out_of_range(multiplied((activation, weight), terms, seed), path=path))
            assert status == 0, output


@pytest.mark.parametrize("dtype", [FloatDType.BFLOAT16, FloatDType.FLOAT32])
@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_other_dtypes_can_leave_their_range_too(monkeypatch: pytest.MonkeyPatch, dtype: FloatDType, value: float) -> None:
    case = multiplied((Fill.NORMAL, Fill.NORMAL), 64, 0, dtype=dtype)
    result = right(Arm.LINEAR)(prepared_of(case)).clone()
    returning(monkeypatch, "matmul_4bit", result)
    assert ran(out_of_range(case))[0] == 0
    result.view(-1)[5] = value
    status, output, _ = ran(out_of_range(case))
    assert status == 1
    assert f", which {dtype.value} can represent" in output
    assert "at flat index 5; 1 of 8" in output


def test_a_result_that_does_not_fit_may_be_infinite(monkeypatch: pytest.MonkeyPatch) -> None:
    case = multiplied((Fill.HUGE, Fill.HUGE), 64, 0)
    prepared = prepared_of(case)
    result = right(Arm.LINEAR)(prepared)
    assert bool(result.isinf().any())
    returning(monkeypatch, "matmul_4bit", result)
    assert ran(out_of_range(case))[0] == 0


def test_a_wrong_number_in_range_is_another_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    case = multiplied((Fill.NORMAL, Fill.NORMAL), 64, 0)
    returning(monkeypatch, "matmul_4bit", torch.zeros(2, 4).half())
    assert ran(out_of_range(case))[0] == 0


LOST = multiplied((Fill.TINY, Fill.NORMAL), 4096, 1)
"""Products of which many are lost in float16, and sums that are normal numbers."""


@pytest.mark.parametrize("dtype_of_weight", FloatDType)
def test_lost_products_give_status_1_and_kept_ones_0(monkeypatch: pytest.MonkeyPatch, dtype_of_weight: FloatDType) -> None:
    """The judge's bound without what products may lose is also the script's: within it 0, and between it and the whole bound 1."""
    case = fields.replace(fields.replace(LOST, "activation.dtype", FloatDType.FLOAT16), "weight.dtype", dtype_of_weight)
    prepared = prepared_of(case)
    product = References(Inputs(prepared.weight, prepared.activation, prepared.bias), prepared).product(path_with(Arm.SIMT))
    model = error_model((Arm.SIMT,), torch.float16, 4096, torch.float16, bias=False)
    whole, kept = interval(product, model, torch.float16), interval(product, dataclasses.replace(model, constant=0.0), torch.float16)
    assert bool((product.value.abs() >= 2.0**-14).all())
    assert bool((kept.high < whole.high).any())
    script = out_of_range(case, "underflow")
    for result, status in ((kept.low, 0), (kept.high, 0), (whole.high, 1), (whole.low, 1)):
        returning(monkeypatch, "matmul_4bit", result)
        ended, output, _ = ran(script)
        assert ended == status, output
    returning(monkeypatch, "matmul_4bit", right(Arm.LINEAR)(prepared))
    assert ran(script)[0] == 0
    assert ran(dataclasses.replace(script, symptom="wrong value"))[0] == 0


def test_a_subnormal_output_has_lost_its_precision_by_right(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(5):
        prepared = prepared_of(multiplied((Fill.TINY, Fill.TINY), 64, seed))
        result = right(Arm.SIMT)(prepared)
        assert judged(prepared, result).symptom is None
        assert not bool((result == right(Arm.LINEAR)(prepared)).all())
        returning(monkeypatch, "matmul_4bit", result)
        assert ran(out_of_range(prepared.case, "underflow"))[0] == 0


@pytest.mark.parametrize("how", ["overflow", "underflow"])
def test_an_exception_is_the_defect_for_a_valid_call_only(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("out of range")

    monkeypatch.setattr("bitsandbytes.matmul_4bit", refuse)
    assert ran(out_of_range(LOST, how, ruling="valid"))[0] == 1
    assert ran(out_of_range(LOST, how, ruling="unspecified"))[0] == 0


@pytest.mark.parametrize("how", ["overflow", "underflow"])
def test_without_a_model_there_is_no_script(how: str) -> None:
    with pytest.raises(ValueError, match="a range divergence without an error model"):
        write_script(out_of_range(LOST, how, model=None))


def test_every_script_compiles_and_defines_its_names(tmp_path: Path) -> None:
    scripts = {}
    for path, how, compressed, layout in itertools.product(PRODUCTS, ("overflow", "underflow"), (False, True), Layout):
        case = multiplied((Fill.HUGE, Fill.HUGE), 64, 0, bias=True)
        case = fields.replace(fields.replace(case, "quantization.compress_statistics", compressed), "weight.layout", layout)
        scripts[f"{path}_{how}_{compressed}_{layout.value}"] = write_script(out_of_range(case, how, path))
    assert lint(scripts, tmp_path) == []


IN_FLOAT16 = """
from .functional import dequantize_4bit
def matmul_4bit(A, B, quant_state, bias=None):
    weight = dequantize_4bit(B, quant_state)
    return (A[..., None, :] * weight).float().sum(-1).to(A.dtype)
"""


def test_alone_the_script_tells_a_right_library_from_one_that_multiplies_in_16_bit(tmp_path: Path) -> None:
    found = out_of_range(multiplied((Fill.CANCELLING, Fill.HUGE), 64, 0))
    ended = alone(found, tmp_path, {"right": "", "wrong": IN_FLOAT16})
    assert ended["right"].status == 0, ended["right"].output
    assert ended["wrong"].status == 1
    assert ", which float16 can represent" in ended["wrong"].output
    assert "Traceback" not in ended["wrong"].output
