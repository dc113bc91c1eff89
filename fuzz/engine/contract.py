"""What upstream's documents say about a Case on a surface: rows with their source, first match wins.

Where a row is missing a Case is valid: it uses documented values of documented arguments only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fuzz.engine.verdict import Ruling
from strategies.case import NON_FINITE, Case, Layout, Memory, PackedView
from strategies.misuse import OF_OUT, OF_SHAPE_OR_DTYPE, WRONG_OUTS, Misuse

if TYPE_CHECKING:
    from fuzz.engine.library import Library

OUT_CONTRACT: Final = "https://docs.pytorch.org/docs/stable/notes/out.html"
CUDA_GRAPHS: Final = "https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs"
ISSUE_1862: Final = "https://github.com/bitsandbytes-foundation/bitsandbytes/issues/1862"

_GEMV_OPCHECK: Final = frozenset({"ops.gemv_4bit opcheck", "ops.gemv_4bit.out opcheck"})
_GEMV_GRAPH: Final = frozenset({"functional.gemv_4bit replayed", "ops.gemv_4bit replayed"})
_GEMV_GIANT: Final = frozenset({"functional.gemv_4bit giant"})
GEMV_SURFACES: Final = _GEMV_OPCHECK | _GEMV_GRAPH | _GEMV_GIANT | {"functional.gemv_4bit", "ops.gemv_4bit"}
OP_SURFACES: Final = GEMV_SURFACES | {"ops.gemm_4bit", "ops.gemm_4bit opcheck", "ops.gemm_4bit replayed"}
OPCHECK_SURFACES: Final = _GEMV_OPCHECK | {
    "ops.quantize_4bit opcheck",
    "ops.dequantize_4bit opcheck",
    "ops.dequantize_4bit.out opcheck",
    "ops.gemm_4bit opcheck",
}
COMPILED_SURFACES: Final = frozenset({"functional.dequantize_4bit compiled", "functional.matmul_4bit compiled", "nn.Linear4bit compiled"})
GRAPH_SURFACES: Final = _GEMV_GRAPH | {
    "functional.dequantize_4bit replayed",
    "functional.matmul_4bit replayed",
    "ops.gemm_4bit replayed",
    "nn.Linear4bit replayed",
}
_STORED_GIANT: Final = frozenset({"functional.dequantize_4bit giant", "functional.matmul_4bit giant"})
GIANT_SURFACES: Final = _GEMV_GIANT | _STORED_GIANT | {"functional.quantize_4bit giant"}
STORED_SURFACES: Final = OP_SURFACES | {
    "functional.matmul_4bit",
    "functional.matmul_4bit(out=)",
    "functional.matmul_4bit backward",
    "functional.dequantize_4bit",
    "functional.dequantize_4bit(out=)",
    "functional.dequantize_4bit compiled",
    "functional.matmul_4bit compiled",
    "functional.dequantize_4bit replayed",
    "functional.matmul_4bit replayed",
    *OPCHECK_SURFACES,
    *_STORED_GIANT,
}
"""Surfaces that are handed the packed weight and its state."""
_CHECKED_OUT_SURFACES: Final = frozenset({"ops.gemv_4bit", "functional.dequantize_4bit(out=)"})
_COPIED_OUT_SURFACES: Final = frozenset({"functional.matmul_4bit(out=)", "functional.quantize_4bit(out=, absmax=)"})
OUT_SURFACES: Final = _CHECKED_OUT_SURFACES | _COPIED_OUT_SURFACES
"""Surfaces that are handed a tensor to write to."""
TRITON_INPLACE: Final = "backends.triton.dequantize_4bit_inplace"
TRITON_SURFACES: Final = frozenset(
    {"backends.triton.quantize_4bit", "backends.triton.dequantize_4bit", TRITON_INPLACE, "backends.triton.gemv_4bit"}
)
"""Functions that implement the ops of other devices; neither `functional` nor `Linear4bit` calls them on a GPU of NVIDIA."""
CALLED_SURFACES: Final = STORED_SURFACES | {"nn.Linear4bit"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One statement of the contract: for these surfaces (empty: all), when this holds, this is the ruling."""

    ruling: Ruling
    source: str
    when: Callable[[Case, Library], bool]
    surfaces: frozenset[str] = frozenset()


def _undocumented_blocksize(case: Case, library: Library) -> bool:
    return case.quantization.blocksize not in library.documented_blocksizes


def _storage_does_not_divide(case: Case, library: Library) -> bool:  # noqa: ARG001 - one signature for all rows
    return (case.weight.elements + 1) // 2 % case.quantization.storage.itemsize != 0


def _moved(case: Case, library: Library) -> bool:  # noqa: ARG001
    return {case.memory.packed, case.memory.absmax} != {Memory.CONTIGUOUS}


def _weight_is_no_number(case: Case, library: Library) -> bool:  # noqa: ARG001
    return case.weight.fill in NON_FINITE


def _in_out(case: Case, library: Library) -> bool:  # noqa: ARG001
    return case.weight.layout is Layout.IN_OUT


def _misaligned(case: Case, library: Library) -> bool:  # noqa: ARG001
    return case.weight.in_features % case.quantization.blocksize != 0


MAY_BE_TAKEN: Final = frozenset({Misuse.HALF_ABSMAX, Misuse.OTHER_BIAS})
"""Misuses of which no document says whether they are any."""
"""What a function may convert, or add as it is: releases before 0.50 add any bias to the result of one row."""


def _misused(case: Case, library: Library) -> bool:  # noqa: ARG001
    return case.execution.misuse not in {Misuse.NONE, *MAY_BE_TAKEN, *OF_OUT}


def _wrong_out(case: Case, library: Library) -> bool:  # noqa: ARG001
    return case.execution.misuse in WRONG_OUTS - {Misuse.EXPANDED_OUT}


ROWS: Final = (
    Row(
        ruling=Ruling.INVALID,
        source=('bitsandbytes/backends/triton/ops.py, dequantize_4bit_inplace: "Expected out.shape == ...", "Expected out.dtype == ..."'),
        when=lambda case, library: case.execution.misuse in OF_SHAPE_OR_DTYPE,  # noqa: ARG005
        surfaces=frozenset({TRITON_INPLACE}),
    ),
    Row(
        ruling=Ruling.UNSPECIFIED,
        source=(
            "bitsandbytes/backends/xpu/ops.py registers Triton's functions for the ops of another device, and no document promises that "
            "they take a call on this one; what the ops return is in bitsandbytes/_ops.py, by their schemas and fake kernels"
        ),
        when=lambda case, library: True,  # noqa: ARG005
        surfaces=TRITON_SURFACES,
    ),
    Row(
        ruling=Ruling.INVALID,
        source=(
            "bitsandbytes/_ops.py, fake kernels of gemv_4bit.out and dequantize_4bit.out, which functional calls: "
            '"Expected out.shape == ...", "Expected out.device == ...", "Expected out.dtype == ..."'
        ),
        when=_wrong_out,
        surfaces=_CHECKED_OUT_SURFACES,
    ),
    Row(
        ruling=Ruling.INVALID,
        source=(
            f"torch's contract of out= ({OUT_CONTRACT}): for another shape an error is thrown or the tensor is resized, and device and "
            "dtype must match; nothing says that these functions take what torch.matmul does not"
        ),
        when=_wrong_out,
        surfaces=_COPIED_OUT_SURFACES,
    ),
    Row(
        ruling=Ruling.INVALID,
        source=(
            'docstring of torch.Tensor.expand: several elements may be one in memory, "if you need to write to the tensors, please clone '
            'them first"; torch refuses such an out='
        ),
        when=lambda case, library: case.execution.misuse is Misuse.EXPANDED_OUT,  # noqa: ARG005
        surfaces=OUT_SURFACES,
    ),
    Row(
        ruling=Ruling.UNSPECIFIED,
        source=(
            "no document says whether out= may be memory that is read; torch's contract of out= "
            f"({OUT_CONTRACT}) is that the operation is performed and its result copied"
        ),
        when=lambda case, library: case.execution.misuse is Misuse.SHARED_OUT,  # noqa: ARG005
        surfaces=OUT_SURFACES,
    ),
    Row(
        ruling=Ruling.INVALID,
        source=(
            "tensors whose lengths, dtypes or devices do not fit each other; torch.nn.functional.linear raises for them, "
            "and nothing says that these functions take them"
        ),
        when=_misused,
        surfaces=CALLED_SURFACES,
    ),
    Row(
        ruling=Ruling.UNSPECIFIED,
        source="no document says which dtypes the scales of a QuantState and a bias must have; some functions convert or refuse them",
        when=lambda case, library: case.execution.misuse in MAY_BE_TAKEN,  # noqa: ARG005
        surfaces=STORED_SURFACES,
    ),
    Row(
        ruling=Ruling.INVALID,
        source='docstring of functional.quantize_4bit, "blocksize": the valid values it lists',
        when=_undocumented_blocksize,
    ),
    Row(
        ruling=Ruling.UNSPECIFIED,
        source=(
            "no document says what a size of zero gives; torch.nn.functional.linear gives no rows, no outputs, or, where nothing is "
            "summed, the bias or zeros"
        ),
        when=lambda case, library: case.is_empty,  # noqa: ARG005
    ),
    Row(
        ruling=Ruling.UNSPECIFIED,
        source="docstring of functional.quantize_4bit: silent on a quant_storage that the packed bytes do not fill",
        when=_storage_does_not_divide,
    ),
    Row(
        ruling=Ruling.UNSPECIFIED,
        source="no document says what .to(dtype) makes of a layer that is quantized; its packed weight is no number of the storage dtype",
        when=lambda case, library: True,  # noqa: ARG005
        surfaces=frozenset({"nn.Linear4bit.to(dtype)"}),
    ),
    Row(
        ruling=Ruling.INVALID,
        source=(
            "gemv_4bit and gemm_4bit take shapeB as [out_features, in_features], and the activation's last dimension "
            f"must be in_features; passing the transposed layout is the defect described in {ISSUE_1862}"
        ),
        when=_in_out,
        surfaces=OP_SURFACES,
    ),
    Row(
        ruling=Ruling.UNSPECIFIED,
        source="no document says what becomes of infinities and NaN in a weight",
        when=_weight_is_no_number,
    ),
    Row(
        ruling=Ruling.UNSPECIFIED,
        source="no document says whether the packed weight and its scales may lie elsewhere than quantize_4bit put them",
        when=_moved,
        surfaces=STORED_SURFACES,
    ),
    Row(
        ruling=Ruling.UNSPECIFIED,
        source=(
            "no document says whether out= may be a view that is not contiguous; by torch's contract "
            f"({OUT_CONTRACT}) its strides are preserved"
        ),
        when=lambda case, library: case.memory.out in {Memory.STRIDED, Memory.TRANSPOSED},  # noqa: ARG005
        surfaces=OUT_SURFACES,
    ),
    Row(
        ruling=Ruling.VALID,
        source=(
            f'{ISSUE_1862}: the matrix path "handles both conventions"; '
            "from 0.50 on matmul_4bit announces the [in, out] layout as deprecated and computes x @ W"
        ),
        when=_in_out,
        surfaces=frozenset({"functional.matmul_4bit"}),
    ),
    Row(
        ruling=Ruling.UNSPECIFIED,
        source=(
            "no document excludes in_features % blocksize != 0 for gemv_4bit; matmul_4bit of releases before 0.50 avoids it with a warning"
        ),
        when=_misaligned,
        surfaces=GEMV_SURFACES,
    ),
    Row(
        ruling=Ruling.VALID,
        source=(
            'docstring of torch.library.opcheck: a fake kernel is there "for the operator to work with PyTorch compilation APIs", '
            "and bitsandbytes registers one for each of its ops"
        ),
        when=lambda case, library: True,  # noqa: ARG005
        surfaces=COMPILED_SURFACES,
    ),
    Row(
        ruling=Ruling.VALID,
        source=(
            'docstring of torch.library.opcheck, "test_schema" and "test_faketensor": what an op changes and returns is what its schema '
            "says, and its fake kernel has the sizes, strides and dtype of its kernel"
        ),
        when=lambda case, library: True,  # noqa: ARG005
        surfaces=OPCHECK_SURFACES,
    ),
    Row(
        ruling=Ruling.UNSPECIFIED,
        source=(
            f"no document of bitsandbytes speaks of CUDA graphs; torch ({CUDA_GRAPHS}) lists what may not be captured, and a replay "
            "reads and writes the captured memory"
        ),
        when=lambda case, library: True,  # noqa: ARG005
        surfaces=GRAPH_SURFACES,
    ),
    Row(
        ruling=Ruling.UNSPECIFIED,
        source=(
            "no document says how many elements a weight may have: an exception that says so would do, and rows that are there again "
            "give the same numbers again"
        ),
        when=lambda case, library: True,  # noqa: ARG005
        surfaces=GIANT_SURFACES,
    ),
)

_DEFAULT: Final = Row(
    ruling=Ruling.VALID,
    source="documented values of documented arguments only (docstrings of functional.quantize_4bit and nn.Linear4bit)",
    when=lambda case, library: True,  # noqa: ARG005
)


def rule(case: Case, surface: str, library: Library) -> Row:
    """The row that decides `case` on `surface`."""
    matching = (row for row in ROWS if (not row.surfaces or surface in row.surfaces) and row.when(case, library))
    return next(matching, _DEFAULT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Convention:
    """How `matmul_4bit` of a kind of release is handed a weight that was quantized in some layout.

    `fused` tells the kinds apart: releases that have the op `gemm_4bit` (0.50) and those before.
    """

    fused: bool
    layout: Layout
    views: frozenset[PackedView]
    source: str


_BOTH: Final = frozenset(PackedView)
CONVENTIONS: Final = (
    Convention(
        fused=False,
        layout=Layout.OUT_IN,
        views=frozenset({PackedView.TRANSPOSED}),
        source="nn.Linear4bit.forward passes weight.t(), and MatMul4Bit.forward multiplies by the transpose of what it dequantizes",
    ),
    Convention(
        fused=False,
        layout=Layout.IN_OUT,
        views=frozenset({PackedView.RETURNED}),
        source=f"the reproduction in {ISSUE_1862}, whose matrix path is right",
    ),
    Convention(
        fused=True,
        layout=Layout.OUT_IN,
        views=_BOTH,
        source='comment in matmul_4bit: "quant_state.shape is the source of truth", transposed views are "still compatible"',
    ),
    Convention(
        fused=True,
        layout=Layout.IN_OUT,
        views=_BOTH,
        source="DeprecationWarning in matmul_4bit; square weights are ambiguous there, see `is_ambiguous`",
    ),
)


def matmul_accepts(case: Case, library: Library) -> bool:
    """Whether there is a convention by which `matmul_4bit` takes this layout and view of the packed weight.

    A square [in, out] weight is left out from 0.50 on: it "is ambiguous and treated as [N, K]", another product.
    """
    if library.fused and is_ambiguous(case):
        return False
    rows = (row for row in CONVENTIONS if row.fused == library.fused and row.layout is case.weight.layout)
    return any(case.packed in row.views for row in rows)


def is_ambiguous(case: Case) -> bool:
    """A square weight quantized as [in, out]: its shape does not tell that it is not [out, in]."""
    return case.weight.layout is Layout.IN_OUT and case.weight.out_features == case.weight.in_features
