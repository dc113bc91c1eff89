"""The code tables against what defines them and against bitsandbytes' own."""

from __future__ import annotations

import itertools
from statistics import NormalDist

import pytest
import torch
from bitsandbytes import functional

from fuzz.oracle.codebooks import CODES, FP4, NF4, dynamic_map
from strategies.case import QuantType


@pytest.mark.parametrize("quant_type", QuantType)
def test_tables_are_those_of_bitsandbytes(quant_type: QuantType) -> None:
    theirs = functional.get_4bit_type(quant_type.value, device="cpu")
    ours = torch.tensor(CODES[quant_type], dtype=torch.float32)
    assert theirs.dtype == torch.float32
    assert bool(((theirs.double() - ours.double()).abs() <= 2.0**-23 * ours.double().abs()).all())


def test_the_dynamic_map_is_that_of_bitsandbytes() -> None:
    theirs = functional.create_dynamic_map().double()
    ours = torch.tensor(dynamic_map(), dtype=torch.float64)
    assert bool(((theirs - ours).abs() <= 22 * 2.0**-24 * ours.abs()).all())


def test_nf4_is_what_the_quantiles_of_the_normal_distribution_give() -> None:
    """Appendix E of QLoRA: eight positive and seven negative quantiles, and 0, divided by the largest."""
    offset, normal = 0.9677083, NormalDist()
    positive = [normal.inv_cdf(offset + (0.5 - offset) * step / 8) for step in range(8)]
    negative = [-normal.inv_cdf(offset + (0.5 - offset) * step / 7) for step in range(7)]
    values = sorted([*negative, 0.0, *positive])
    assert list(NF4) == pytest.approx([value / max(values) for value in values], abs=2e-7)


def test_fp4_is_sign_exponent_mantissa_over_12() -> None:
    for index, value in enumerate(FP4):
        exponent, mantissa = index >> 1 & 3, index & 1
        magnitude = 0.0625 * mantissa if exponent == 0 else {1: 8.0, 2: 4.0, 3: 2.0}[exponent] * (1 + mantissa / 2)
        assert value == (-1) ** (index >> 3) * magnitude / 12


def test_the_dynamic_map_is_ascending_almost_symmetric_and_reaches_one() -> None:
    values = dynamic_map()
    assert len(values) == 256
    assert list(values) == sorted(set(values))
    assert {-value for value in values if value not in {1.0, 0.0}} == {value for value in values if value not in {1.0, 0.0}}
    assert values[-1] == 1.0
    assert 0.0 in values


def test_neighbours_in_the_dynamic_map_lie_further_apart_than_the_tolerance() -> None:
    values = dynamic_map()
    gaps = [(high - low) / max(abs(low), abs(high)) for low, high in itertools.pairwise(values)]
    assert min(gaps) > 1e-3
