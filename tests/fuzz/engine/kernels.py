"""The arithmetic of each kernel, simulated rounding by rounding on the CPU, with summation orders drawn at random.

Facts about the kernels are those of `fuzz.oracle.bounds`; the code shares nothing with it. All matrices are
x (rows, terms) and weights (outputs, terms); results are (rows, outputs) in float32: what a kernel holds before its
last rounding, which is to the output dtype.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from tests.fuzz.engine.helpers import Quantized

LANES = 32
ROUND = 1024
FLUSH = 2.0**-126


@dataclass(frozen=True)
class How:
    """What a kernel is free to do: the order of sums, contraction of multiply and add, flushing, where the bias goes."""

    generator: torch.Generator
    fused: bool = False
    flush: bool = False
    late_bias: bool = False
    shuffle: bool = True


def _flushed(value: torch.Tensor, how: How) -> torch.Tensor:
    return torch.where(value.abs() < FLUSH, 0.0, value) if how.flush else value


def _add(total: torch.Tensor, term: torch.Tensor, how: How) -> torch.Tensor:
    """One float32 addition; a float64 `term` is a product that was not rounded before (a fused multiply and add)."""
    return _flushed((total + term).float(), how)


def _tree(lanes: torch.Tensor, how: How) -> torch.Tensor:
    lanes = lanes[..., torch.randperm(lanes.shape[-1], generator=how.generator)]
    while lanes.shape[-1] > 1:
        half = lanes.shape[-1] // 2
        lanes = _add(lanes[..., :half], lanes[..., half:], how)
    return lanes[..., 0]


def _finish(total: torch.Tensor, bias: torch.Tensor | None, dtype: torch.dtype, how: How) -> torch.Tensor:
    if bias is None:
        return total
    if how.late_bias:
        return total.to(dtype).float() + bias.float()
    return _add(total, bias.float(), how)


def _by_lane(terms: torch.Tensor, how: How) -> torch.Tensor:
    """A lane owns 32 neighbours of every 1024: shape (..., lanes, steps), each lane in an order of its own."""
    short = -terms.shape[-1] % ROUND
    padded = torch.nn.functional.pad(terms, (0, short))
    lanes = padded.reshape(*terms.shape[:-1], -1, LANES, ROUND // LANES).transpose(-3, -2).flatten(-2)
    return lanes[..., torch.randperm(lanes.shape[-1], generator=how.generator)]


def simt(x: torch.Tensor, weight: Quantized, bias: torch.Tensor | None, how: How) -> torch.Tensor:
    """SIMT and legacy gemv: code, scale, weight and product rounded to a 16-bit dtype, sums in float32."""
    dtype, x = x.dtype, _flushed(x, how)
    if dtype is torch.float32:
        return _simt_single(x, weight, bias, how)
    rounded = weight.code.to(dtype) * weight.scale.to(dtype)
    products = (x[:, None, :] * rounded[None]).float()
    if how.fused:  # `acc += p.x + p.y`: neighbours are added first
        even = torch.nn.functional.pad(products, (0, products.shape[-1] % 2))
        pairs = _add(even[..., 0::2], even[..., 1::2], how)
        products = torch.stack((pairs, torch.zeros_like(pairs)), -1).flatten(-2)
    steps = _by_lane(products, how)
    total = torch.zeros(steps.shape[:-1])
    for step in range(steps.shape[-1]):
        total = _add(total, steps[..., step], how)
    return _finish(_tree(total, how), bias, dtype, how)


def _simt_single(x: torch.Tensor, weight: Quantized, bias: torch.Tensor | None, how: How) -> torch.Tensor:
    rounded = _flushed(weight.code * weight.scale, how)
    exact = x.double()[:, None, :] * rounded.double()[None]
    steps = _by_lane(exact if how.fused else _flushed(exact.float(), how), how)
    total = torch.zeros(steps.shape[:-1])
    for step in range(steps.shape[-1]):
        total = _add(total, steps[..., step], how)
    return _finish(_tree(total, how), bias, torch.float32, how)


def dense(x: torch.Tensor, weight: Quantized, bias: torch.Tensor | None, stored: torch.dtype, how: How) -> torch.Tensor:
    """dequantize, then cuBLAS or a CPU BLAS: weights rounded once or twice, sums in float32 in any order, in two parts."""
    x, rounded = _flushed(x, how), _flushed(weight.code * weight.scale, how).to(stored).to(x.dtype)
    exact = x.double()[:, None, :] * rounded.double()[None]
    exact = exact[..., torch.randperm(exact.shape[-1], generator=how.generator)]
    split = int(torch.randint(0, exact.shape[-1] + 1, (), generator=how.generator))
    parts = []
    for part in (exact[..., :split], exact[..., split:]):
        total = torch.zeros(exact.shape[:-1])
        for step in range(part.shape[-1]):
            term = part[..., step] if how.fused else _flushed(part[..., step].float(), how)
            total = _add(total, term, how)
        parts.append(total)
    return _finish(_add(parts[0], parts[1], how), bias, x.dtype, how)


def tensor_core(x: torch.Tensor, weight: Quantized, bias: torch.Tensor | None, stored: torch.dtype, how: How) -> torch.Tensor:
    """Volta's tensor core: four products and the sum so far, aligned to the largest, cut off after 23 bits, added."""
    rounded = (weight.code * weight.scale).to(stored).to(x.dtype)
    exact = torch.nn.functional.pad(x.double()[:, None, :] * rounded.double()[None], (0, -x.shape[-1] % 4))
    if how.shuffle:
        exact = exact[..., torch.randperm(exact.shape[-1], generator=how.generator)]
    total = torch.zeros(exact.shape[:-1], dtype=torch.float64)
    for first in range(0, exact.shape[-1], 4):
        addends = torch.cat((exact[..., first : first + 4], total[..., None]), -1)
        largest = addends.abs().amax(-1, keepdim=True)
        quantum = torch.ldexp(torch.ones_like(largest), torch.frexp(largest).exponent - 1 - 23)
        total = _towards_zero((torch.trunc(addends / quantum) * quantum).sum(-1))
    return _finish(total.float(), bias, x.dtype, how)


def _towards_zero(value: torch.Tensor) -> torch.Tensor:
    single = value.float()
    nearer = torch.nextafter(single, torch.zeros_like(single))
    return torch.where(single.double().abs() > value.abs(), nearer, single).double()


def cpu_bf16(x: torch.Tensor, weight: Quantized, bias: torch.Tensor | None, how: How) -> torch.Tensor:
    """The CPU's fused kernel: activation, code, scale, weight and result in bfloat16, sums in float32."""
    rounded = weight.code.bfloat16() * weight.scale.bfloat16()
    x = _flushed(x, how)
    products = (x.bfloat16()[:, None, :].double() * rounded[None].double()).float()
    products = _flushed(products, how)[..., torch.randperm(x.shape[-1], generator=how.generator)]
    total = torch.zeros(products.shape[:-1])
    for step in range(products.shape[-1]):
        total = _add(total, products[..., step], how)
    result = total.bfloat16()
    return result.float() if bias is None else result.to(x.dtype).float() + bias.float()
