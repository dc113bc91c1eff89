"""What upstream's documents say about a Case on a surface: rows with their source, first match wins.

Where a row is missing a Case is valid: it uses documented values of documented arguments only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fuzz.engine.verdict import Ruling
from strategies.case import Case, Layout, PackedView

if TYPE_CHECKING:
    from fuzz.engine.library import Library

ISSUE_1862: Final = "https://github.com/bitsandbytes-foundation/bitsandbytes/issues/1862"

GEMV_SURFACES: Final = frozenset({"functional.gemv_4bit", "ops.gemv_4bit"})
OP_SURFACES: Final = GEMV_SURFACES | {"ops.gemm_4bit"}


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


def _in_out(case: Case, library: Library) -> bool:  # noqa: ARG001
    return case.weight.layout is Layout.IN_OUT


def _misaligned(case: Case, library: Library) -> bool:  # noqa: ARG001
    return case.weight.in_features % case.quantization.blocksize != 0


ROWS: Final = (
    Row(
        ruling=Ruling.INVALID,
        source='docstring of functional.quantize_4bit, "blocksize": the valid values it lists',
        when=_undocumented_blocksize,
    ),
    Row(
        ruling=Ruling.UNSPECIFIED,
        source="docstring of functional.quantize_4bit: silent on a quant_storage that the packed bytes do not fill",
        when=_storage_does_not_divide,
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


def matmul_accepts(case: Case, library: Library) -> bool:
    """Whether there is a convention by which `matmul_4bit` takes this layout and view of the packed weight.

    Before 0.50 the view says how the weight was quantized: transposed for [out, in] (`Linear4bit` passes
    `weight.t()`), as returned for [in, out] (the reproduction in issue #1862). From 0.50 on "quant_state.shape is the
    source of truth" (comment in `matmul_4bit`) and the view does not matter, but a square [in, out] weight "is
    ambiguous and treated as [N, K]" and therefore means another product.
    """
    if library.fused:
        return not is_ambiguous(case)
    by_view = {Layout.OUT_IN: PackedView.TRANSPOSED, Layout.IN_OUT: PackedView.RETURNED}
    return case.packed is by_view[case.weight.layout]


def is_ambiguous(case: Case) -> bool:
    """A square weight quantized as [in, out]: its shape does not tell that it is not [out, in]."""
    return case.weight.layout is Layout.IN_OUT and case.weight.out_features == case.weight.in_features
