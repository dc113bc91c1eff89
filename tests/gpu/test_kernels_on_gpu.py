"""The kernels that a profiler sees are those that are read in the library's file."""

from __future__ import annotations

import pytest

from fuzz.commands.kernels import count, library_file
from fuzz.engine.executor import Executor
from fuzz.engine.kernels import contained
from strategies.case import Activation, Case, Fill, FloatDType, Quantization, Weight

pytestmark = pytest.mark.gpu


def test_launches_are_seen_under_the_names_in_the_file(cuda: Executor) -> None:
    weight = Weight(out_features=64, in_features=128, dtype=FloatDType.FLOAT16, fill=Fill.NORMAL)
    case = Case(weight=weight, quantization=Quantization(compress_statistics=True), activation=Activation(leading=(1,), fill=Fill.NORMAL))
    there = contained(library_file(cuda.start().library["native"]["file"]))
    launched = count(cuda, [case])
    assert launched
    assert set(launched) <= set(there)
    templates = {name.partition("<")[0] for name in launched}
    assert {"kgemm_4bit_inference_naive", "kDequantizeBlockwise"} <= templates
    assert any(name.startswith("kQuantizeBlockwise") for name in templates)
