"""The executor on a real GPU: a lost CUDA context is a verdict, and the next Case runs in a fresh one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fuzz.engine.executor import Executor
from fuzz.engine.verdict import Symptom
from strategies.case import Activation, Case, Fill, FloatDType, Quantization, QuantType, StorageDType, Weight

pytestmark = pytest.mark.gpu

# One element in float16 storage: every release so far allocates no packed element at all, and its kernel writes one.
NO_ROOM = Case(quantization=Quantization(storage=StorageDType.FLOAT16))
PLAIN = Case(weight=Weight(out_features=64, in_features=128, dtype=FloatDType.FLOAT16, fill=Fill.NORMAL))


def test_a_lost_context_is_a_verdict_and_the_run_goes_on(cuda: Executor) -> None:
    before = cuda.replaced
    lost = cuda.run(NO_ROOM)
    assert [verdict.symptom for verdict in lost.failures] == [Symptom.CONTEXT_LOST]
    assert cuda.replaced == before + 1
    assert cuda.run(PLAIN, ["dequantize_linear"]).failures == ()


@pytest.mark.parametrize("dtype", list(FloatDType))
@pytest.mark.parametrize("quant_type", list(QuantType))
@pytest.mark.parametrize("nested", [False, True])
def test_plain_cases_are_right_on_every_path(cuda: Executor, dtype: FloatDType, quant_type: QuantType, *, nested: bool) -> None:
    weight = Weight(out_features=64, in_features=256, dtype=dtype, fill=Fill.NORMAL)
    quantization = Quantization(quant_type=quant_type, compress_statistics=nested)
    for leading in ((), (3,), (40,)):
        case = Case(weight=weight, quantization=quantization, activation=Activation(leading=leading, fill=Fill.NORMAL), seed=1)
        result = cuda.run(case)
        assert result.failures == (), f"{case}: {result.failures}"
        assert len(result.verdicts) >= 4


def test_the_parent_never_initialises_cuda(cuda: Executor) -> None:
    cuda.run(PLAIN)
    assert "torch" not in sys.modules or not sys.modules["torch"].cuda.is_initialized()


def test_importing_the_plugin_does_not_import_torch() -> None:
    code = "import sys, fuzz.plugin, strategies.cases; sys.exit('torch' in sys.modules or 'bitsandbytes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
