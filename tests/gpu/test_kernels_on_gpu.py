"""The kernels that a profiler sees are those that are read in the library's file."""

from __future__ import annotations

import pytest

from fuzz.campaign.survey import survey
from fuzz.engine.executor import Executor
from strategies.case import Activation, Case, Fill, FloatDType, Quantization, Weight

pytestmark = pytest.mark.gpu


def test_launches_are_seen_under_the_names_in_the_file(cuda: Executor) -> None:
    weight = Weight(out_features=64, in_features=128, dtype=FloatDType.FLOAT16, fill=Fill.NORMAL)
    case = Case(weight=weight, quantization=Quantization(compress_statistics=True), activation=Activation(leading=(1,), fill=Fill.NORMAL))
    launches = survey([case], cuda, 60.0)
    assert launches.cases == 1
    assert len(launches.launched) > 50, "those in the file, and no others that the profiler names otherwise"
    templates = {name.partition("<")[0] for name, count in launches.launched.items() if count}
    assert not [name for name, count in launches.launched.items() if count and name in launches.unreachable]
    assert {"kgemm_4bit_inference_naive", "kDequantizeBlockwise"} <= templates
    assert any(name.startswith("kQuantizeBlockwise") for name in templates)
