"""The tensor that a script hands over for a result, as lines that end with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from strategies.case import Case, FloatDType, Memory
from strategies.misuse import Misuse
from strategies.outs import Shape, dtype_of_out, shape_of_out

_COMMENTS: Final = {
    Misuse.SHORT_OUT: "  # too small",
    Misuse.LONG_OUT: "  # too large",
    Misuse.DEEP_OUT: "  # a dimension too many",
    Misuse.OTHER_OUT: "  # another dtype",
    Misuse.META_OUT: "  # no memory at all",
    Misuse.CPU_OUT: "  # another device",
}
_DEVICES: Final = {Misuse.META_OUT: "'meta'", Misuse.CPU_OUT: "'cpu'"}
_PACKED_SHAPES: Final = {Misuse.LONG_OUT: "(len(packed), 2)", Misuse.DEEP_OUT: "(2, len(packed), 1)"}


_GUARDED: Final = {
    Memory.CONTIGUOUS: "guarded(result)",
    Memory.STRIDED: "guarded(torch.stack((result, result), dim=-1))[..., 0]",
    Memory.TRANSPOSED: "guarded(result.mT).mT",
}
"""The memory layouts with something around them."""


def activation_of(case: Case) -> str:
    """What a script calls the activation of a call that is handed an `out`."""
    return "shared" if case.execution.misuse is Misuse.SHARED_OUT else "x"


@dataclass(frozen=True, slots=True)
class _Result:
    """A result that something is handed over for.

    Attributes:
        shape, dtype: of the result.
        like: what a script calls a tensor of the same dtype and device.
        text: the shape as the script says it, if not in numbers.
    """

    shape: Shape
    dtype: FloatDType
    like: str
    text: str = ""


def _matmul_out(case: Case, *, guard: bool) -> list[str]:
    return _out(case, _Result(case.output_shape, case.activation_dtype, "x"), guard=guard)


def _dequantize_out(case: Case, *, guard: bool) -> list[str]:
    return _out(case, _Result(case.weight.stored_shape, case.weight.dtype, "weight"), guard=guard)


def _gemv_out(case: Case, *, guard: bool) -> list[str]:
    shape = (*case.activation.leading, case.weight.stored_shape[0])
    return _out(case, _Result(shape, case.activation_dtype, "x", "(*x.shape[:-1], state.shape[0])"), guard=guard)


def _out(case: Case, result: _Result, *, guard: bool) -> list[str]:
    """The lines for `result`; with a guard there is something around it, for an overrun to be seen."""
    misuse, shape = case.execution.misuse, result.shape
    if misuse is Misuse.SHARED_OUT:
        copied = "guarded(x)" if guard else "x.clone()"
        return [f"shared = {copied}", f"result = shared.flatten()[:{math.prod(shape)}].view({shape})  # in the activation's memory"]
    handed, dtype = shape_of_out(misuse, shape), dtype_of_out(misuse, result.dtype)
    size = "(1,)" if misuse is Misuse.EXPANDED_OUT else result.text if result.text and handed == shape else f"{handed}"
    named = f"{result.like}.dtype" if dtype is result.dtype else f"torch.{dtype.value}"
    made = f'torch.full({size}, float("nan"), dtype={named}, device={_DEVICES.get(misuse, f"{result.like}.device")})'
    return [f"result = {made}{_COMMENTS.get(misuse, '')}", *_placed(case, shape, guard=guard)]


def _placed(case: Case, shape: Shape, *, guard: bool) -> list[str]:
    memory = case.memory.out
    lines = [] if memory is Memory.CONTIGUOUS else [f"result = {memory.value}(result)"]
    if guard and memory is not Memory.OFFSET:  # which has something around it
        lines = [f"result = {_GUARDED[memory] if len(shape) > 1 or memory is Memory.STRIDED else 'guarded(result)'}"]
    if case.execution.misuse is Misuse.EXPANDED_OUT:
        lines.append(f"result = result.expand({shape})  # all elements are the same one")
    return lines


def packed_out(case: Case) -> list[str]:
    """The lines for a packed weight."""
    misuse = case.execution.misuse
    if misuse is Misuse.EXPANDED_OUT:
        return ["out = torch.zeros_like(packed[:1]).expand(packed.shape)  # all elements are the same one"]
    arguments = ["packed.shape", "dtype=packed.dtype", "device=packed.device"]
    if misuse in _PACKED_SHAPES:
        arguments[0] = _PACKED_SHAPES[misuse]
    if misuse is Misuse.OTHER_OUT:
        arguments[1] = "dtype=torch.float32 if packed.dtype is not torch.float32 else torch.bfloat16"
    if misuse in _DEVICES:
        arguments[2] = f"device={_DEVICES[misuse]}"
    laid_out = [] if case.memory.out is Memory.CONTIGUOUS else [f"out = {case.memory.out.value}(out)"]
    return [f"out = torch.zeros({', '.join(arguments)}){_COMMENTS.get(misuse, '')}", *laid_out]


OUTS: Final[dict[str, Callable[..., list[str]]]] = {
    "matmul_4bit_out": _matmul_out,
    "dequantize_4bit_out": _dequantize_out,
    "gemv_4bit_out": _gemv_out,
    "triton_dequantize_4bit_inplace": _dequantize_out,
}
"""The lines for `result`, by path; with `guard=True` there is something around it."""

WRITING: Final = frozenset({*OUTS, "quantize_4bit_out"})
"""Paths that are handed a tensor to write to."""
