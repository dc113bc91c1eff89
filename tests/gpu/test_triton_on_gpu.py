"""Triton's functions on the GPU: what the project says of their arithmetic is what they do."""

from __future__ import annotations

import dataclasses

import pytest

from fuzz.engine.executor import Executor
from fuzz.engine.launches import arms_of
from fuzz.engine.verdict import PathVerdict
from fuzz.oracle.arms import Arm
from strategies.case import Activation, Case, Execution, Fill, FloatDType, Mode, Quantization, QuantType, Weight

pytestmark = pytest.mark.gpu

ARMS = {
    "triton_quantize_4bit": Arm.TRITON_QUANTIZE,
    "triton_dequantize_4bit": Arm.TRITON_DEQUANTIZE,
    "triton_dequantize_4bit_inplace": Arm.TRITON_DEQUANTIZE,
    "triton_gemv_4bit": Arm.TRITON_LINEAR,
}


@pytest.fixture(scope="module")
def triton(cuda: Executor) -> Executor:
    """The executor on the GPU, where Triton's functions can be called."""
    if not cuda.start().library["triton"]:
        pytest.skip("Triton's functions cannot be called here: no Triton, no C compiler, or functions with other arguments")
    return cuda


def case(quant_type: QuantType, dtype: FloatDType, blocksize: int, fill: Fill = Fill.NORMAL) -> Case:
    """A weight of an even number of whole blocks, and one row."""
    return Case(
        weight=Weight(out_features=10, in_features=max(blocksize, 128), dtype=dtype, fill=fill),
        quantization=Quantization(quant_type=quant_type, blocksize=blocksize),
        activation=Activation(leading=(1,), fill=fill),
        execution=Execution(mode=Mode.TRITON),
        seed=blocksize,
    )


def verdicts(executor: Executor, asked: Case, *, survey: bool = False) -> dict[str, PathVerdict]:
    """What became of the paths of Triton."""
    result = executor.run(asked, list(ARMS), survey=survey)
    return {verdict.path: verdict for verdict in result.verdicts if verdict.path in ARMS}


def assert_right(found: dict[str, PathVerdict]) -> None:
    assert {path: (verdict.symptom, verdict.expected, verdict.got) for path, verdict in found.items()} == dict.fromkeys(
        ARMS, (None, "", "")
    )


@pytest.mark.parametrize("quant_type", QuantType)
@pytest.mark.parametrize("dtype", FloatDType)
@pytest.mark.parametrize("blocksize", [64, 256, 4096])
def test_quantizing_dequantizing_and_gemv_are_right(triton: Executor, quant_type: QuantType, dtype: FloatDType, blocksize: int) -> None:
    found = verdicts(triton, case(quant_type, dtype, blocksize))
    assert_right(found)
    assert {path: verdict.arms for path, verdict in found.items()} == {path: (arm.value,) for path, arm in ARMS.items()}


@pytest.mark.parametrize("fill", [Fill.HEAVY_TAILED, Fill.SUBNORMAL, Fill.ZERO_BLOCKS, Fill.HUGE, Fill.TINY])
@pytest.mark.parametrize("dtype", FloatDType)
def test_numbers_of_every_size_are_right(triton: Executor, dtype: FloatDType, fill: Fill) -> None:
    assert_right(verdicts(triton, case(QuantType.FP4, dtype, 64, fill)))


def test_scales_of_compressed_statistics_are_decoded_before(triton: Executor) -> None:
    asked = case(QuantType.NF4, FloatDType.FLOAT16, 64)
    asked = dataclasses.replace(asked, quantization=dataclasses.replace(asked.quantization, compress_statistics=True))
    found = verdicts(triton, asked)
    assert set(found) == set(ARMS) - {"triton_quantize_4bit"}
    assert not [verdict for verdict in found.values() if verdict.symptom or verdict.got]


@pytest.mark.parametrize("quant_type", QuantType)
def test_the_kernels_that_are_launched_are_triton_s(triton: Executor, quant_type: QuantType) -> None:
    found = verdicts(triton, case(quant_type, FloatDType.BFLOAT16, 64), survey=True)
    assert {path: arms_of(verdict.kernels) for path, verdict in found.items()} == {path: {arm} for path, arm in ARMS.items()}
