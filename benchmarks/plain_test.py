"""What one would write without this project: bitsandbytes' 4-bit product against dequantize and a dense product."""

from __future__ import annotations

import os
from typing import NamedTuple

import torch
from bitsandbytes import functional, matmul_4bit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DEVICE = os.environ.get("PLAIN_DEVICE", "cuda" if torch.cuda.is_available() else "cpu")
SIZES = st.integers(1, 300) | st.sampled_from([32, 64, 128, 256, 512])


class Product(NamedTuple):
    """One product to try."""

    outputs: int
    terms: int
    rows: int | None  # None: an activation of one dimension
    dtype: torch.dtype
    quant_type: str
    blocksize: int
    seed: int


PRODUCTS = st.builds(
    Product,
    outputs=SIZES,
    terms=SIZES,
    rows=st.none() | st.integers(1, 40),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32]),
    quant_type=st.sampled_from(["nf4", "fp4"]),
    blocksize=st.sampled_from([32, 64, 128, 256, 512]),
    seed=st.integers(0, 1000),
)


def check(product: Product) -> None:
    """Compare every way to compute one product with dequantize and linear."""
    torch.manual_seed(product.seed)
    weight = torch.randn(product.outputs, product.terms, dtype=product.dtype).to(DEVICE)
    shape = (product.terms,) if product.rows is None else (product.rows, product.terms)
    x = torch.randn(shape, dtype=product.dtype).to(DEVICE)
    packed, state = functional.quantize_4bit(weight, blocksize=product.blocksize, quant_type=product.quant_type)
    expected = torch.nn.functional.linear(x, functional.dequantize_4bit(packed, state))
    torch.testing.assert_close(matmul_4bit(x, packed.t(), quant_state=state), expected)
    if product.rows in (None, 1):
        torch.testing.assert_close(functional.gemv_4bit(x, packed.t(), state=state), expected)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(PRODUCTS)
def test_products_agree(product: Product) -> None:
    """Every way computes the same."""
    check(product)
