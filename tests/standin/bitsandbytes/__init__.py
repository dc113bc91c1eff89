"""A small, correct stand-in for bitsandbytes 0.50 in plain PyTorch, CPU only.

The end-to-end tests put its folder first on PYTHONPATH, so that the fuzzer and the scripts that it writes import it
instead of the real package. What it computes is right, unless a fault of `planted` is switched on: then it is known
what the fuzzer has to find.
"""

from __future__ import annotations

from . import functional, nn, ops
from .matmul import matmul_4bit

__version__ = "0.50.0+standin"

__all__ = ["functional", "matmul_4bit", "nn", "ops"]
