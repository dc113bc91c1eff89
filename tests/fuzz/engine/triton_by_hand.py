"""Triton's functions, with upstream's names and arguments, in plain PyTorch: right, and wrong in one way each."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Final

import pytest
import torch

from fuzz.engine.triton_functions import MODULE
from fuzz.oracle.codebooks import CODES
from strategies.case import QuantType


def quantize_4bit(
    A: torch.Tensor,  # noqa: N803 - upstream's
    blocksize: int,
    quant_type: str,
    quant_storage: torch.dtype,
) -> tuple[torch.Tensor, torch.Tensor]:
    count, table = A.numel(), _table(quant_type)
    flat = torch.nn.functional.pad(A.contiguous().flatten().float(), (0, -A.numel() % blocksize))
    blocks = flat.reshape(-1, blocksize)
    absmax = blocks.abs().amax(1)
    ratio = torch.where(absmax[:, None] > 0, blocks / absmax[:, None], 0.0)
    index = (ratio.flatten()[:, None] - table).abs().argmin(1).to(torch.uint8)
    data = index[0::2] * 16 + index[1::2]
    held = math.ceil(math.ceil(count / 2) / quant_storage.itemsize) * quant_storage.itemsize
    return data[:held].view(quant_storage).unsqueeze(1), absmax


def dequantize_4bit(  # noqa: PLR0913, PLR0917 - upstream's
    A: torch.Tensor,  # noqa: N803
    absmax: torch.Tensor,
    blocksize: int,
    quant_type: str,
    shape: Sequence[int],
    dtype: torch.dtype,
) -> torch.Tensor:
    return _decoded(A, absmax, blocksize, _table(quant_type), shape).to(dtype)


def dequantize_4bit_inplace(  # noqa: PLR0913, PLR0917
    A: torch.Tensor,  # noqa: N803
    absmax: torch.Tensor,
    blocksize: int,
    quant_type: str,
    shape: Sequence[int],
    dtype: torch.dtype,
    out: torch.Tensor,
) -> None:
    if out.shape != tuple(shape) or out.dtype != dtype:
        raise ValueError(f"Expected out.shape == {shape}, out.dtype == {dtype}, got {out.shape}, {out.dtype}")
    out.copy_(dequantize_4bit(A, absmax, blocksize, quant_type, shape, dtype))


def gemv_4bit(  # noqa: PLR0913, PLR0917
    A: torch.Tensor,  # noqa: N803
    B: torch.Tensor,  # noqa: N803
    shapeB: Sequence[int],  # noqa: N803
    absmax: torch.Tensor,
    code: torch.Tensor,
    blocksize: int,
) -> torch.Tensor:
    return torch.nn.functional.linear(A, _decoded(B, absmax, blocksize, code, shapeB).to(A.dtype))


def _table(quant_type: str) -> torch.Tensor:
    return torch.tensor(CODES[QuantType(quant_type)], dtype=torch.float32)


def _decoded(packed: torch.Tensor, absmax: torch.Tensor, blocksize: int, code: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    data = packed.contiguous().flatten().view(torch.uint8)
    index = torch.stack((data >> 4, data & 15), dim=1).flatten()[: shape[0] * shape[1]].long()
    return (code[index] * absmax.contiguous().repeat_interleave(blocksize)[: len(index)]).reshape(tuple(shape))


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "quantize_4bit": quantize_4bit,
    "dequantize_4bit": dequantize_4bit,
    "dequantize_4bit_inplace": dequantize_4bit_inplace,
    "gemv_4bit": gemv_4bit,
}


def install(monkeypatch: pytest.MonkeyPatch, **others: Callable[..., Any]) -> None:
    """Let these functions, or others in their place, be imported as upstream's."""
    module = ModuleType(MODULE)
    for name, function in {**FUNCTIONS, **others}.items():
        setattr(module, name, function)
    monkeypatch.setitem(sys.modules, MODULE, module)
