"""Doubling the inputs, where products cancel to a number that is subnormal: the relation must not be asked for."""

from __future__ import annotations

import pytest
import torch

from fuzz.engine.paths import BY_NAME
from fuzz.engine.relations import second_call
from fuzz.oracle.arms import Arm
from fuzz.oracle.codebooks import NF4
from strategies.case import Case, Execution, FloatDType, Quantization, Relation, Weight
from tests.fuzz.engine.helpers import H200, library, prepared_by_hand
from tests.fuzz.engine.outputs import output_of


@pytest.mark.parametrize("relation", [Relation.SCALED_ACTIVATION, Relation.SCALED_WEIGHT])
@pytest.mark.parametrize(
    ("arm", "rows", "rule"),
    [
        (Arm.SIMT, 3, True),
        (Arm.TENSOR_CORE, 33, True),
        (Arm.LINEAR, 3, False),
    ],
)
def test_doubling_holds_where_products_cancel_to_a_subnormal_number(relation: Relation, arm: Arm, rows: int, rule: bool) -> None:  # noqa: FBT001
    """2**-5 * (1 + 2**-10) * (1 - 2**-10) - 2**-5 is -2**-25: all factors and products are normal, and the sum is not."""
    x = torch.zeros(rows, 64).half()
    x[0, 0], x[0, 32] = 2.0**-5 * (1 + 2.0**-10), -(2.0**-5)
    case = Case(weight=Weight(dtype=FloatDType.FLOAT16), quantization=Quantization(blocksize=32), execution=Execution(relation=relation))
    scales = torch.tensor([1 - 2.0**-10, 1.0])
    prepared = prepared_by_hand(x, torch.full((1, 64), 15), scales, case=case, loaded=library(device="cuda", gpu=H200, rule=rule))
    prepared.state.code = torch.tensor(NF4)
    path = BY_NAME["gemm_4bit_op"]
    related = second_call(path, prepared)
    assert related is not None
    rule_of_relation, second = related
    first = output_of(prepared, arm)
    spoken_of = rule_of_relation.comparable(first)
    assert not spoken_of[0].any()
    assert torch.equal(output_of(second, arm)[spoken_of], rule_of_relation.expect(first, path, second)[spoken_of])
