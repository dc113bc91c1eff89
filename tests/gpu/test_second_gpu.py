"""A second GPU: the same kernel on it gives the same bits, and a launch that it refuses is this call's failure."""

from __future__ import annotations

import pytest
import torch

from fuzz.engine.library import inspect_library
from fuzz.engine.runner import Selection, run_case
from fuzz.engine.verdict import PathVerdict
from strategies.case import Activation, Case, Execution, Fill, FloatDType, Relation, Weight

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs"),
]


def verdict_on(rows: int, outputs: int, terms: int) -> PathVerdict:
    """What comes of `matmul_4bit` on both GPUs, the first one first."""
    case = Case(
        weight=Weight(out_features=outputs, in_features=terms, dtype=FloatDType.FLOAT16, fill=Fill.NORMAL),
        activation=Activation(leading=(rows,), fill=Fill.NORMAL),
        execution=Execution(relation=Relation.SECOND_GPU),
    )
    library = inspect_library("cuda")
    verdicts = run_case(case, library, lambda _: None, Selection(only=("matmul_4bit",)))
    return next(verdict for verdict in verdicts if verdict.path == "matmul_4bit")


@pytest.mark.parametrize("rows", [1, 3])
def test_the_kernel_for_few_rows_gives_the_same_bits(rows: int) -> None:
    verdict = verdict_on(rows, 64, 128)
    assert verdict.arms == ("simt",)
    assert verdict.symptom is None, verdict.got


def test_a_small_tile_of_the_tensor_cores_gives_the_same_bits() -> None:
    """64 x 64 x 64: its 36 KB of shared memory are within what a kernel may have without asking."""
    verdict = verdict_on(33, 130, 64)
    assert verdict.arms == ("tensor_core",)
    assert verdict.symptom is None, verdict.got
