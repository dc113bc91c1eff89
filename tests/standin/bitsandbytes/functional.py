"""`bitsandbytes.functional`: quantize, dequantize and gemv, with upstream's arguments."""

from __future__ import annotations

import torch

from . import kernels
from .codes import create_dynamic_map, get_4bit_type
from .packing import is_transposed, pack
from .planted import Call, disturb
from .state import QuantState
from .writing import written

__all__ = [
    "QuantState",
    "create_dynamic_map",
    "dequantize_4bit",
    "dequantize_blockwise",
    "gemv_4bit",
    "get_4bit_type",
    "has_avx512bf16",
    "quantize_4bit",
    "quantize_blockwise",
]

_FLOATS = (torch.float32, torch.float16, torch.bfloat16)


def has_avx512bf16() -> bool:
    """Whether `Linear4bit` repacks its weight; this one never does."""
    return False


def quantize_blockwise(values: torch.Tensor, blocksize: int = 4096) -> tuple[torch.Tensor, QuantState]:
    """Quantize to 8 bits with the dynamic map."""
    code = create_dynamic_map()
    indices, absmax = kernels.quantize(values, code, blocksize)
    return indices.reshape(values.shape), QuantState(absmax, values.shape, code, blocksize, "dynamic", torch.float32)


def dequantize_blockwise(indices: torch.Tensor, quant_state: QuantState) -> torch.Tensor:
    """Undo `quantize_blockwise`."""
    values = kernels.dequantize(indices, quant_state.absmax, quant_state.code, quant_state.blocksize)
    return values.reshape(indices.shape).to(quant_state.dtype)


def quantize_4bit(  # noqa: PLR0913, PLR0917 - upstream's signature
    A: torch.Tensor,  # noqa: N803 - upstream's name
    absmax: torch.Tensor | None = None,
    out: torch.Tensor | None = None,
    blocksize: int | None = None,
    compress_statistics: bool = False,  # noqa: FBT001, FBT002 - upstream's signature
    quant_type: str = "fp4",
    quant_storage: torch.dtype = torch.uint8,
) -> tuple[torch.Tensor, QuantState]:
    """Quantize a tensor in blocks of 4-bit values.

    Args:
        A: the weight, float16, bfloat16 or float32.
        absmax: takes the scales, before they are compressed.
        out: takes the packed weight.
        blocksize: the size of the blocks. Defaults to 64.
            Valid values are 32, 64, 128, 256, 512, 1024, 2048, and 4096.
        compress_statistics: whether to quantize the scales too, to 8 bits.
        quant_type: "nf4" or "fp4".
        quant_storage: dtype of the packed weight, which is padded to whole elements.

    Returns:
        The packed weight, shape (n, 1), and its state.

    Raises:
        ValueError: an argument is not one of the documented values.
    """
    blocksize = 64 if blocksize is None else blocksize
    kernels.check_blocksize(blocksize)
    if A.dtype not in _FLOATS or quant_type not in ("nf4", "fp4"):
        raise ValueError(f"cannot quantize {A.dtype} to {quant_type!r}")
    code = kernels.code_of(quant_type)
    indices, scales = kernels.quantize(A, code, blocksize)
    state = QuantState(written(scales, absmax), A.shape, code, blocksize, quant_type, A.dtype)
    return written(pack(indices, quant_storage), out), _compressed(state) if compress_statistics else state


def _compressed(state: QuantState) -> QuantState:
    offset = state.absmax.mean()
    absmax, state2 = quantize_blockwise(state.absmax - offset, kernels.NESTED_BLOCKSIZE)
    return QuantState(absmax, state.shape, state.code, state.blocksize, state.quant_type, state.dtype, offset, state2)


def _scales(state: QuantState) -> torch.Tensor:
    """One float32 scale a block, whether or not the statistics are compressed."""
    if state.state2 is None or state.offset is None:
        return state.absmax
    return kernels.nested_scales(state.absmax, state.state2.absmax, state.state2.code, state.offset)


def quantized(packed: torch.Tensor, state: QuantState) -> kernels.Quantized:
    """A packed weight and its state, as the kernels take them."""
    return kernels.Quantized(packed, state.shape, _scales(state), state.code, state.blocksize)


def dequantize_4bit(A: torch.Tensor, quant_state: QuantState, out: torch.Tensor | None = None) -> torch.Tensor:  # noqa: N803
    """The weight in the dtype that it had; a transposed view of the packed weight gives the transposed weight."""
    weight = kernels.decode(quantized(A, quant_state)).to(quant_state.dtype)
    call = Call(quant_state.shape, quant_state.blocksize, quant_state.quant_type, quant_state.nested)
    return written(disturb("functional.dequantize_4bit", call, weight.t() if is_transposed(A) else weight), out)


def gemv_4bit(A: torch.Tensor, B: torch.Tensor, state: QuantState) -> torch.Tensor:  # noqa: N803
    """`A @ W.T` for one row, W of shape [out_features, in_features].

    Raises:
        ValueError: the activation's last dimension is not in_features.
    """
    # Not through the op: a fault in one way in must not show in another.
    result = kernels.gemv(A, quantized(B, state))
    return disturb("functional.gemv_4bit", Call(state.shape, state.blocksize, state.quant_type, state.nested, A), result)
