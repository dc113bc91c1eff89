"""Where results are judged."""

from __future__ import annotations

import pytest
import torch

from fuzz.engine.desk import CPU, desk_for
from strategies.case import Activation, Case, Weight

GPU = torch.device("cuda", 0)


@pytest.mark.parametrize(
    ("outputs", "terms", "leading", "desk"),
    [
        (1, 1, (), CPU),
        (128, 256, (2,), CPU),
        (128, 257, (1,), GPU),  # the weight
        (64, 64, (8,), CPU),
        (64, 64, (9,), GPU),  # the sums
        (8, 1024, (64,), CPU),
        (8, 1025, (64,), GPU),  # their terms
        (0, 64, (3,), CPU),
    ],
)
def test_small_cases_are_judged_on_the_cpu(outputs: int, terms: int, leading: tuple[int, ...], desk: torch.device) -> None:
    case = Case(weight=Weight(out_features=outputs, in_features=terms), activation=Activation(leading=leading))
    assert desk_for(case, GPU) == desk


def test_what_comes_from_the_cpu_stays_there() -> None:
    assert desk_for(Case(weight=Weight(out_features=2048, in_features=2048)), CPU) == CPU
