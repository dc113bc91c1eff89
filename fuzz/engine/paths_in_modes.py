"""The paths that only run where a Case's mode asks for them."""

from __future__ import annotations

from typing import Final

from fuzz.engine import (
    calls_backward,
    calls_compiled,
    calls_giant,
    calls_graph,
    calls_kept,
    calls_opcheck,
    calls_out,
    calls_triton,
    contract,
    dispatch,
)
from fuzz.engine.path import Path, Yields
from fuzz.engine.path_conditions import (
    always,
    as_activation,
    as_linear,
    as_weight,
    dense_arms,
    dequantize_arms,
    gemm_out_in,
    gemv_out_in,
    gemv_out_in_out,
    giant,
    giant_arms,
    matmul_out_in,
    matmul_stored,
    matmul_with_bias,
    matmul_without_grad,
    on_cuda,
    packed_shape,
    product_shape,
    returned,
    returned_out,
    triton_dequantize_arms,
    triton_gemv,
    triton_linear_arms,
    triton_plain,
    triton_quantize_arms,
    triton_returned,
    weight_shape,
)
from strategies.case import Mode

OUT: Final = (
    Path(
        name="dequantize_4bit_out",
        surface="functional.dequantize_4bit(out=)",
        mode=Mode.OUT,
        applies=returned,
        run=calls_out.dequantize_out,
        arms=dequantize_arms,
        stored=as_weight,
        requires="dequantize_4bit",
        yields=Yields.WEIGHT,
        writes=weight_shape,
    ),
    Path(
        name="quantize_4bit_out",
        surface="functional.quantize_4bit(out=, absmax=)",
        mode=Mode.OUT,
        applies=returned,
        run=calls_out.quantize_out,
        arms=dequantize_arms,
        stored=as_weight,
        requires="dequantize_4bit",
        yields=Yields.WEIGHT,
        writes=packed_shape,
    ),
    Path(
        name="matmul_4bit_out",
        surface="functional.matmul_4bit(out=)",
        mode=Mode.OUT,
        applies=matmul_without_grad,
        run=calls_out.matmul_out,
        arms=dispatch.matmul_arms,
        stored=matmul_stored,
        requires="matmul_4bit",
        writes=product_shape,
    ),
)
BACKWARD: Final = (
    Path(
        name="matmul_4bit_input_gradient",
        surface="functional.matmul_4bit backward",
        mode=Mode.BACKWARD,
        applies=contract.matmul_accepts,
        run=calls_backward.input_gradient,
        arms=dense_arms,
        stored=as_weight,
        requires="matmul_4bit",
        adds_bias=False,
        yields=Yields.INPUT_GRADIENT,
    ),
    Path(
        name="matmul_4bit_bias_gradient",
        surface="functional.matmul_4bit backward",
        mode=Mode.BACKWARD,
        applies=matmul_with_bias,
        run=calls_backward.bias_gradient,
        arms=dense_arms,
        stored=as_weight,
        requires="matmul_4bit",
        adds_bias=False,
        yields=Yields.BIAS_GRADIENT,
    ),
    Path(
        name="linear4bit_input_gradient",
        surface="nn.Linear4bit backward",
        mode=Mode.BACKWARD,
        applies=as_linear,
        run=calls_backward.module_gradient,
        arms=dense_arms,
        stored=as_weight,
        requires="linear4bit",
        adds_bias=False,
        yields=Yields.INPUT_GRADIENT,
    ),
)
KEPT: Final = tuple(
    Path(
        name=f"linear4bit_{name}",
        surface=surface,
        mode=Mode.KEPT,
        applies=as_linear,
        run=run,
        arms=dispatch.linear_arms,
        stored=matmul_stored,
        requires="linear4bit",
    )
    for name, surface, run in (
        ("reloaded", "nn.Linear4bit state_dict", calls_kept.reloaded),
        ("copied", "nn.Linear4bit deepcopy", calls_kept.copied),
        ("pickled", "nn.Linear4bit pickle", calls_kept.pickled),
        ("cast", "nn.Linear4bit.to(dtype)", calls_kept.cast),
    )
)
COMPILED: Final = (
    Path(
        name="dequantize_4bit_compiled",
        surface="functional.dequantize_4bit compiled",
        mode=Mode.COMPILED,
        applies=always,
        run=calls_compiled.dequantize_compiled,
        arms=dequantize_arms,
        stored=as_weight,
        requires="dequantize_4bit",
        yields=Yields.WEIGHT,
    ),
    Path(
        name="matmul_4bit_compiled",
        surface="functional.matmul_4bit compiled",
        mode=Mode.COMPILED,
        applies=contract.matmul_accepts,
        run=calls_compiled.matmul_compiled,
        arms=dispatch.matmul_arms,
        stored=matmul_stored,
        requires="matmul_4bit",
    ),
    Path(
        name="linear4bit_compiled",
        surface="nn.Linear4bit compiled",
        mode=Mode.COMPILED,
        applies=as_linear,
        run=calls_compiled.module_compiled,
        arms=dispatch.linear_arms,
        stored=matmul_stored,
        requires="linear4bit",
    ),
)
OPCHECK: Final = (
    *(
        Path(
            name=f"{name}_opcheck",
            surface=f"ops.{surface} opcheck",
            mode=Mode.OPCHECK,
            applies=applies,
            run=run,
            arms=dequantize_arms,
            stored=as_weight,
            requires="dequantize_4bit",
            yields=Yields.WEIGHT,
        )
        for name, surface, applies, run in (
            ("quantize_4bit", "quantize_4bit", returned, calls_opcheck.quantize_opcheck),
            ("dequantize_4bit", "dequantize_4bit", returned, calls_opcheck.dequantize_opcheck),
            ("dequantize_4bit_out", "dequantize_4bit.out", returned_out, calls_opcheck.dequantize_out_opcheck),
        )
    ),
    Path(
        name="gemm_4bit_opcheck",
        surface="ops.gemm_4bit opcheck",
        mode=Mode.OPCHECK,
        applies=gemm_out_in,
        run=calls_opcheck.gemm_opcheck,
        arms=dispatch.gemm_arms,
        stored=as_activation,
        requires="gemm_4bit_op",
    ),
)
GEMV_OPCHECK: Final = tuple(
    Path(
        name=f"{name}_opcheck",
        surface=f"ops.{surface} opcheck",
        mode=Mode.OPCHECK,
        applies=applies,
        run=run,
        arms=dispatch.gemv_arms,
        stored=as_activation,
        requires=f"{name}{plain}",
        adds_bias=False,
    )
    for name, surface, applies, run, plain in (
        ("gemv_4bit", "gemv_4bit", gemv_out_in, calls_opcheck.gemv_opcheck, "_op"),
        ("gemv_4bit_out", "gemv_4bit.out", gemv_out_in_out, calls_opcheck.gemv_out_opcheck, ""),
    )
)
GRAPH: Final = (
    Path(
        name="dequantize_4bit_replayed",
        surface="functional.dequantize_4bit replayed",
        mode=Mode.GRAPH,
        applies=on_cuda(always),
        run=calls_graph.dequantize_replayed,
        arms=dequantize_arms,
        stored=as_weight,
        requires="dequantize_4bit",
        yields=Yields.WEIGHT,
    ),
    Path(
        name="matmul_4bit_replayed",
        surface="functional.matmul_4bit replayed",
        mode=Mode.GRAPH,
        applies=on_cuda(contract.matmul_accepts),
        run=calls_graph.matmul_replayed,
        arms=dispatch.matmul_arms,
        stored=matmul_stored,
        requires="matmul_4bit",
    ),
    Path(
        name="gemm_4bit_replayed",
        surface="ops.gemm_4bit replayed",
        mode=Mode.GRAPH,
        applies=on_cuda(gemm_out_in),
        run=calls_graph.gemm_replayed,
        arms=dispatch.gemm_arms,
        stored=as_activation,
        requires="gemm_4bit_op",
    ),
    Path(
        name="linear4bit_replayed",
        surface="nn.Linear4bit replayed",
        mode=Mode.GRAPH,
        applies=on_cuda(as_linear),
        run=calls_graph.module_replayed,
        arms=dispatch.linear_arms,
        stored=matmul_stored,
        requires="linear4bit",
    ),
)
GEMV_GRAPH: Final = tuple(
    Path(
        name=f"{plain}_replayed",
        surface=surface,
        mode=Mode.GRAPH,
        applies=on_cuda(gemv_out_in),
        run=run,
        arms=dispatch.gemv_arms,
        stored=as_activation,
        requires=plain,
        adds_bias=False,
    )
    for plain, surface, run in (
        ("gemv_4bit", "functional.gemv_4bit replayed", calls_graph.gemv_replayed),
        ("gemv_4bit_op", "ops.gemv_4bit replayed", calls_graph.gemv_op_replayed),
    )
)
TRITON: Final = (
    Path(
        name="triton_quantize_4bit",
        surface="backends.triton.quantize_4bit",
        mode=Mode.TRITON,
        applies=triton_plain,
        run=calls_triton.packed_weight,
        quantizes=calls_triton.quantize,
        arms=triton_quantize_arms,
        stored=as_weight,
        requires="dequantize_4bit",
        yields=Yields.PACKED,
    ),
    Path(
        name="triton_dequantize_4bit",
        surface="backends.triton.dequantize_4bit",
        mode=Mode.TRITON,
        applies=triton_returned,
        run=calls_triton.dequantize,
        arms=triton_dequantize_arms,
        stored=as_weight,
        requires="dequantize_4bit",
        yields=Yields.WEIGHT,
    ),
    Path(
        name="triton_dequantize_4bit_inplace",
        surface="backends.triton.dequantize_4bit_inplace",
        mode=Mode.TRITON,
        applies=triton_returned,
        run=calls_triton.dequantize_inplace,
        arms=triton_dequantize_arms,
        stored=as_weight,
        requires="dequantize_4bit",
        yields=Yields.WEIGHT,
        writes=weight_shape,
    ),
    Path(
        name="triton_gemv_4bit",
        surface="backends.triton.gemv_4bit",
        mode=Mode.TRITON,
        applies=triton_gemv,
        run=calls_triton.gemv,
        arms=triton_linear_arms,
        stored=as_activation,
        requires="dequantize_4bit",
        adds_bias=False,
    ),
)
GIANT: Final = (
    *(
        Path(
            name=f"{name}_giant",
            surface=f"functional.{name} giant",
            mode=Mode.GIANT,
            applies=giant(returned),
            run=run,
            arms=dequantize_arms,
            stored=as_weight,
            requires="dequantize_4bit",
            yields=Yields.WEIGHT,
        )
        for name, run in (("quantize_4bit", calls_giant.quantize), ("dequantize_4bit", calls_giant.dequantize))
    ),
    Path(
        name="matmul_4bit_giant",
        surface="functional.matmul_4bit giant",
        mode=Mode.GIANT,
        applies=giant(matmul_out_in),
        run=calls_giant.matmul,
        arms=giant_arms(dispatch.matmul_arms),
        stored=matmul_stored,
        requires="matmul_4bit",
    ),
)
GEMV_GIANT: Final = (
    Path(
        name="gemv_4bit_giant",
        surface="functional.gemv_4bit giant",
        mode=Mode.GIANT,
        applies=giant(gemv_out_in),
        run=calls_giant.gemv,
        arms=giant_arms(dispatch.gemv_arms),
        stored=as_activation,
        requires="gemv_4bit",
        adds_bias=False,
    ),
)
IN_MODES: Final = (*OUT, *BACKWARD, *KEPT, *COMPILED, *OPCHECK, *GRAPH, *TRITON, *GIANT)
IN_MODES_OF_GEMV: Final = (*GEMV_OPCHECK, *GEMV_GRAPH, *GEMV_GIANT)
"""Those that require a path of gemv."""
