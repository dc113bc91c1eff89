"""Kernels of the library that no call launches on some GPU, and by which of its rules. The rules are those of 0.50."""

from __future__ import annotations

import re
from typing import Final

_TEMPLATE: Final = re.compile(r"(?P<name>\w+)<(?P<arguments>[^<>]*)>")

_TURING: Final = (7, 5)
_HOPPER: Final = 9
TILES_OF_HOPPER: Final = frozenset({(32, 64, 128), (32, 256, 128), (64, 64, 64), (128, 64, 64), (128, 128, 64)})
"""Rows, outputs and terms of the tiles that `launch_gemm_4bit_sm80_m16n8k16` (csrc/gemm_4bit_sm80.cu) chooses on compute
capability 9.0; its kernel traps on the others of 32 and of 64 rows there."""

SMALL: Final = "kQuantizeBlockwiseSmall"
SMALL_BLOCK: Final = "64"
ROWS_OF_FLOAT32: Final = "8"


def reason(kernel: str, capability: tuple[int, int], others: frozenset[str]) -> str:
    """Why no call launches a kernel; empty if one may.

    Args:
        kernel: its name, such as "gemm_4bit_simt<float, 8>".
        capability: compute capability of the GPU, major and minor.
        others: names of the kernels that the library contains.
    """
    found = _TEMPLATE.fullmatch(kernel)
    if found is None:
        return ""
    name, arguments = found["name"], tuple(part.strip() for part in found["arguments"].split(","))
    if name == "gemm_4bit_sm75_m16n8k8" and capability != _TURING:
        return "for compute capability 7.5 only"
    if name == "gemm_4bit_sm80_m16n8k16" and capability[0] == _HOPPER and tuple(map(int, arguments[1:])) not in TILES_OF_HOPPER:
        return "a tile that is not chosen on compute capability 9"
    if name == "gemm_4bit_simt" and arguments == ("float", ROWS_OF_FLOAT32):
        return f"{ROWS_OF_FLOAT32} rows of float32 are dequantized and multiplied by torch"
    if name == "kQuantizeBlockwise" and arguments[1] == SMALL_BLOCK and _is_small(arguments, others):
        return f"blocks of {SMALL_BLOCK} are quantized by {SMALL}"
    return ""


def _is_small(arguments: tuple[str, ...], others: frozenset[str]) -> bool:
    return f"{SMALL}<{arguments[0]}, {SMALL_BLOCK}, {arguments[-1]}>" in others
