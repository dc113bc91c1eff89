"""One loud fault and four quiet ones on one path with one symptom, and what a run has to make of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

LOUD: Final = "loud"
QUIET: Final = ("quiet_blocks", "quiet_rows", "quiet_odd", "quiet_rank")

_FAILURE: Final = "functional.matmul_4bit | matmul_4bit | wrong value | triggers: "
SIGNATURES: Final = {
    "loud": _FAILURE + "activation.dtype=float16",
    "quiet_blocks": _FAILURE + "bias=True, quantization.blocksize=1024, quantization.compress_statistics=True, quantization.quant_type=fp4",
    "quiet_rows": _FAILURE + "activation.rows=large, bias=True, quantization.blocksize=32",
    "quiet_odd": _FAILURE + "quantization.blocksize=128, quantization.compress_statistics=True, weight.in_features=odd+large",
    "quiet_rank": _FAILURE + "activation.rank=3, quantization.quant_type=fp4, weight.out_features=aligned",
}
"""The one signature that each fault has, whatever the seed."""


def known(names: tuple[str, ...], file: Path) -> Path:
    """Write a known-issues file that names faults by their signatures."""
    rows = [
        f'[[issue]]\nsignature = "{SIGNATURES[name]}"\nlink = "unreported"\nversions = ">=0.48"\nreason = "planted"\n' for name in names
    ]
    file.write_text("\n".join(rows), encoding="utf-8")
    return file
