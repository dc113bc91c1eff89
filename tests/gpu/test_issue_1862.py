"""The reproduction given in upstream issue #1862, as a Case, judged on the device.

https://github.com/bitsandbytes-foundation/bitsandbytes/issues/1862: in_features 128, out_features 64, float16, nf4, the
weight quantized as [in_features, out_features], a 1-D activation.
"""

from __future__ import annotations

import dataclasses

import pytest

from fuzz.engine.executor import Executor
from fuzz.engine.verdict import FailureKey, Symptom
from strategies.case import Activation, Case, Execution, Fill, FloatDType, Layout, Weight

pytestmark = pytest.mark.gpu

REPRODUCTION = Case(
    weight=Weight(out_features=64, in_features=128, layout=Layout.IN_OUT, dtype=FloatDType.FLOAT16, fill=Fill.NORMAL),
    activation=Activation(fill=Fill.NORMAL),
)


def test_reproduction_is_seen_where_it_is_and_not_where_it_is_fixed(cuda: Executor) -> None:
    ready = cuda.start()
    result = cuda.run(REPRODUCTION, ["matmul_4bit"])
    if ready.library["fused"]:
        assert result.failures == (), f"{ready.system['bitsandbytes']} computes x @ W for this layout (upstream #1949)"
    else:
        key = FailureKey("functional.matmul_4bit", "matmul_4bit", Symptom.WRONG_SHAPE, "")
        failure = result.failure(key)
        assert failure is not None
        assert (failure.expected, failure.got) == ("shape (64,)", "shape (128,)")


def test_the_matrix_path_of_the_reproduction_is_right(cuda: Executor) -> None:
    case = dataclasses.replace(REPRODUCTION, execution=Execution(grad=True))
    assert cuda.run(case, ["matmul_4bit", "dequantize_linear"]).failures == ()


def test_gemv_4bit_takes_the_transposed_layout_without_an_error(cuda: Executor) -> None:
    """In every release so far: `functional.gemv_4bit` still does what the issue's title says."""
    failure = cuda.run(REPRODUCTION, ["gemv_4bit"]).failures[-1]
    assert failure.symptom is Symptom.MISSING_ERROR
