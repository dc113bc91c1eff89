"""Every way to get the product of a Case: the gemv ways in and the matrix ways in.

A path is data: a name, the surface it goes through, when it applies, what it may round, and its call. Adding a path is
adding one entry to `PATHS`.
"""

from __future__ import annotations

from typing import Final

from fuzz.engine import calls, calls_out, contract, dispatch
from fuzz.engine.path import Path, Yields
from fuzz.engine.path_conditions import (
    always,
    as_activation,
    as_linear,
    as_weight,
    dense_arms,
    dequantize_arms,
    gemm,
    matmul_stored,
    one_row,
    one_row_out,
    product_shape,
)
from fuzz.engine.paths_in_modes import IN_MODES, IN_MODES_OF_GEMV

QUANTIZE: Final = "quantize_4bit"
QUANTIZE_SURFACE: Final = "functional.quantize_4bit"


# What others require comes first, and what has ended processes comes last.
PATHS: Final[tuple[Path, ...]] = (
    Path(
        name="dequantize_4bit",
        surface="functional.dequantize_4bit",
        applies=always,
        run=calls.dequantize,
        arms=dequantize_arms,
        stored=as_weight,
        yields=Yields.WEIGHT,
    ),
    Path(
        name="dequantize_linear",
        surface="functional.dequantize_4bit",
        applies=always,
        run=calls.dequantize_linear,
        arms=dense_arms,
        stored=as_weight,
        requires="dequantize_4bit",
    ),
    Path(
        name="matmul_4bit",
        surface="functional.matmul_4bit",
        applies=contract.matmul_accepts,
        run=calls.matmul,
        arms=dispatch.matmul_arms,
        stored=matmul_stored,
    ),
    Path(
        name="gemm_4bit_op",
        surface="ops.gemm_4bit",
        applies=gemm,
        run=calls.gemm_op,
        arms=dispatch.gemm_arms,
        stored=as_activation,
    ),
    Path(
        name="linear4bit",
        surface="nn.Linear4bit",
        applies=as_linear,
        run=calls.linear4bit,
        arms=dispatch.linear_arms,
        stored=matmul_stored,
        calls_layer=True,
    ),
    *IN_MODES,
    Path(
        name="gemv_4bit",
        surface="functional.gemv_4bit",
        applies=one_row,
        run=calls.gemv,
        arms=dispatch.gemv_arms,
        stored=as_activation,
        adds_bias=False,
    ),
    Path(
        name="gemv_4bit_op",
        surface="ops.gemv_4bit",
        applies=one_row,
        run=calls.gemv_op,
        arms=dispatch.gemv_arms,
        stored=as_activation,
        requires="gemv_4bit",
        adds_bias=False,
    ),
    Path(
        name="gemv_4bit_out",
        surface="ops.gemv_4bit",
        applies=one_row_out,
        run=calls_out.gemv_out,
        arms=dispatch.gemv_arms,
        stored=as_activation,
        requires="gemv_4bit_op",
        adds_bias=False,
        writes=product_shape,
    ),
    *IN_MODES_OF_GEMV,
)

BY_NAME: Final = {path.name: path for path in PATHS}
