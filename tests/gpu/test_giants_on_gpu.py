"""Giants on a real GPU: with fewer repetitions than it takes to be one, every path gives what the small weight gives."""

from __future__ import annotations

import dataclasses

import pytest

from strategies import giant
from strategies.case import Activation, Case, Execution, Fill, FloatDType, Mode, Weight

pytestmark = pytest.mark.gpu

FEW = (2**20, 2**22)


@pytest.mark.parametrize("dtype", FloatDType)
@pytest.mark.parametrize("leading", [(), (3,)])
@pytest.mark.usefixtures("cuda")
def test_what_is_repeated_is_right_as_often_as_it_is_there(
    dtype: FloatDType, leading: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fuzz.engine.library import inspect_library  # noqa: PLC0415 - children are not to import torch with this file
    from fuzz.engine.runner import Selection, run_case  # noqa: PLC0415

    monkeypatch.setattr(giant, "BEYOND", FEW)
    case = Case(
        weight=Weight(out_features=2, in_features=256, dtype=dtype, fill=Fill.NORMAL),
        activation=Activation(leading=leading, dtype=dtype, fill=Fill.NORMAL),
        execution=Execution(mode=Mode.GIANT),
    )
    library = inspect_library("cuda")
    paths = [f"{name}_giant" for name in ("quantize_4bit", "dequantize_4bit", *(["gemv_4bit"] if not leading else []))]
    if library.fused:
        paths.append("matmul_4bit_giant")
    verdicts = {verdict.path: verdict for verdict in run_case(case, library, lambda _: None, Selection(only=paths))}
    assert set(paths) <= set(verdicts)
    assert not [verdict for verdict in verdicts.values() if verdict.symptom]
    unlike = dataclasses.replace(case, quantization=dataclasses.replace(case.quantization, compress_statistics=True))
    assert not set(paths) & {verdict.path for verdict in run_case(unlike, library, lambda _: None, Selection(only=paths))}
