"""Calls with a weight that is there many times over: more elements than 31 or 32 bits count.

What comes back has the shape of one repetition, that which is least like what the small weight gives, so that it is judged by
the reference of the small weight, as every result is.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import torch

from fuzz.engine import calls
from fuzz.engine.calls import Prepared
from strategies.giant import repeats, within

CHUNK: Final = 2**26
"""Elements that are compared at once."""

NOT_A_NUMBER: Final = 0xFF
"""A byte of which NaN is made in every float dtype."""

Made = tuple[torch.Tensor, ...]
"""What a call makes of a weight, with one repetition after the other along the first dimension of each tensor."""


def quantize(prepared: Prepared) -> torch.Tensor:
    """`quantize_4bit` of a giant, then `dequantize_4bit` of one repetition of what it packed."""
    from bitsandbytes import functional  # noqa: PLC0415

    def made(times: int) -> Made:
        placed = calls.Placed(prepared.weight.repeat(times, 1), prepared.activation, prepared.bias)
        giant = calls.quantize(prepared.case, placed, prepared.library)
        return giant.packed.view(torch.uint8).flatten(), giant.state.absmax

    size = prepared.weight.nbytes
    codes, scales = _unlike(prepared, made, size, made(1))
    state = prepared.own_state()
    state.absmax = scales
    result: torch.Tensor = functional.dequantize_4bit(codes.view(prepared.packed.dtype).reshape(-1, 1), state)
    return result


def dequantize(prepared: Prepared) -> torch.Tensor:
    """`dequantize_4bit` of a giant."""
    (result,) = _unlike(prepared, lambda times: (calls.dequantize(giant(prepared, times)),), prepared.weight.nbytes)
    return result.reshape(prepared.weight.shape)


def gemv(prepared: Prepared) -> torch.Tensor:
    """`functional.gemv_4bit` by a giant."""
    return _product(prepared, calls.gemv)


def matmul(prepared: Prepared) -> torch.Tensor:
    """`matmul_4bit` by a giant."""
    return _product(prepared, calls.matmul)


def giant(prepared: Prepared, times: int) -> Prepared:
    """The Case's call with the rows of its packed weight, and its bias, as many times over."""
    state: Any = copy.copy(prepared.state)
    state.absmax = prepared.state.absmax.repeat(times)
    state.shape = torch.Size((prepared.state.shape[0] * times, prepared.state.shape[1]))
    bias = None if prepared.bias is None else prepared.bias.repeat(times)
    return dataclasses.replace(prepared, packed=prepared.packed.repeat(times, 1), state=state, bias=bias)


def _product(prepared: Prepared, call: Callable[[Prepared], torch.Tensor]) -> torch.Tensor:
    shape = prepared.case.output_shape

    def made(times: int) -> Made:
        result = call(giant(prepared, times))
        return (result.reshape(*result.shape[:-1], times, -1).movedim(-2, 0).flatten(),)

    size = prepared.activation.itemsize * prepared.case.activation.rows * prepared.case.weight.out_features
    (result,) = _unlike(prepared, made, size)
    return result.reshape(shape)


def _unlike(prepared: Prepared, made: Callable[[int], Made], size: int, small: Made | None = None) -> Made:
    """The repetition of what is made of giants that is least like what is made of the small weight.

    Args:
        prepared: small.
        made: from the number of repetitions.
        size: bytes of what one repetition takes or gives.
        small: made(1), where it is there already.
    """
    first = tuple(part.clone() for part in small or made(1))
    memory = prepared.library.gpu.memory if prepared.library.gpu is not None else 0
    worst = Repetition(0.0, first)
    for elements in within(prepared.case, memory, size):
        times = repeats(prepared.case, elements)
        _spoil(size * times + elements, prepared.weight.device)
        worst = max(worst, least_like(made(times), first), key=lambda repetition: repetition.distance)
        _release(prepared.weight.device)
    return worst.parts


@dataclass(frozen=True, slots=True)
class Repetition:
    """One of many, and how far its numbers are from what they are to be like: at most, infinite where bytes differ or NaN is new."""

    distance: float
    parts: Made


def least_like(many: Made, first: Made) -> Repetition:
    """The repetition that is farthest from `first`. torch's products may round each in another way, and one may be wrong.

    Args:
        many: each tensor as often as the others, one repetition after the other.
        first: one repetition of each.
    """
    worst, place = 0.0, 0
    for start, stop in _chunks(many, first):
        distances = torch.zeros(stop - start, device=many[0].device)
        for part, one in zip(many, first, strict=True):
            distances = torch.maximum(distances, _distances(part.reshape(-1, one.numel())[start:stop], one.flatten()))
        if (here := float(distances.max())) > worst:
            worst, place = here, start + int(distances.argmax())
    return Repetition(worst, tuple(part.reshape(-1, one.numel())[place].clone() for part, one in zip(many, first, strict=True)))


def _chunks(many: Made, first: Made) -> Iterator[tuple[int, int]]:
    """Ranges of repetitions, so that what is compared at once is not as large as the whole."""
    width = max(one.numel() for one in first)
    count, step = many[0].numel() // first[0].numel(), max(CHUNK // width, 1)
    return ((start, min(start + step, count)) for start in range(0, count, step))


def _distances(rows: torch.Tensor, one: torch.Tensor) -> torch.Tensor:
    """How far each of `rows` (repetitions, n) is from `one` (n) at most, float32."""
    if not one.is_floating_point():
        return torch.where((rows != one).any(dim=1), torch.inf, 0.0)
    same = (rows == one) | (rows.isnan() & one.isnan())
    far = (rows.float() - one.float()).abs().nan_to_num(nan=torch.inf, posinf=torch.inf)
    return torch.where(same, 0.0, far).amax(dim=1)


def _spoil(size: int, device: torch.device) -> None:
    """Fill what is free with NaN: an output that nobody writes is not to look right because it was right before."""
    torch.full((size,), NOT_A_NUMBER, dtype=torch.uint8, device=device)


def _release(device: torch.device) -> None:
    """Give back what torch keeps: other processes need memory too."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
