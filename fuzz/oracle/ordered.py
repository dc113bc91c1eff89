"""The kernels' sums in their own order, bit for bit.

A kernel that is deterministic and whose order is known has one right answer. `calibrate` measures on a GPU whether
these functions give it; where they do, they are the oracle.
"""

from __future__ import annotations

import torch

from fuzz.oracle.arms import Arm
from fuzz.oracle.emulate import products, weights
from fuzz.oracle.operands import Nested, Operands
from fuzz.oracle.rounding import flush, multiply_add
from fuzz.oracle.tensor_core import TensorCore, fused_sums

LANES = 32
PER_LANE = 32
"""A lane owns 32 neighbouring terms of every 1024."""

FUSED_TREE = (16, 8, 4, 2, 1)
GEMV_TREE = (1, 2, 4, 8, 16)
"""Offsets by which lanes are added: shfl_down in csrc/gemm_4bit_simt.cu, cub::WarpReduce in the legacy gemv."""

PAIRED = (0, 4, 1, 5, 2, 6, 3, 7)
"""Order in which the fused float32 kernel takes eight neighbours: two vector loads, one element of each in turn."""


def operations(arm: Arm, dtype: torch.dtype, terms: int) -> int:
    """About how many tensor operations `accumulate` takes one after the other, whatever M and N: what it costs on a GPU."""
    rounds = -(-terms // (LANES * PER_LANE))
    if arm is Arm.TENSOR_CORE:
        return 45 * -(-terms // 16)
    return rounds * PER_LANE * (20 if dtype is torch.float32 else 1)


def accumulate(arm: Arm, operands: Operands, nested: Nested, core: TensorCore | None = None) -> torch.Tensor:
    """The float32 sum that `arm` holds before bias and output rounding, (M, N).

    Args:
        arm: SIMT, GEMV or TENSOR_CORE.
        operands: M rows, N outputs, K terms; memory is about 10 float64 numbers for each of M * N * K terms.
        nested: how compressed scales are evaluated.
        core: the tensor core's model, for TENSOR_CORE.

    Raises:
        ValueError: the arm's order is not known, or a tensor core without its model.
    """
    return add(arm, operands.activation, weights(arm, operands, nested), core)


def add(arm: Arm, activation: torch.Tensor, weight: torch.Tensor, core: TensorCore | None = None) -> torch.Tensor:
    """The float32 sum of `arm` over the products of (M, K) and (N, K), both in T, in its own order, (M, N).

    Raises:
        ValueError: the arm's order is not known, or a tensor core without its model.
    """
    if arm is Arm.TENSOR_CORE:
        if core is None:
            raise ValueError("a tensor core is emulated by a model of it")
        return fused_sums(activation, weight, core)
    if arm not in (Arm.SIMT, Arm.GEMV):
        raise ValueError(f"the order of {arm.value} is not known")
    fused = arm is Arm.SIMT
    tree = FUSED_TREE if fused else GEMV_TREE
    if activation.dtype is torch.float32:
        return sum_by_lane_float32(activation, weight, PAIRED if fused else tuple(range(8)), tree)
    return sum_by_lane(products(arm, activation, weight), fused, tree)


def finish(total: torch.Tensor, bias: torch.Tensor | None, dtype: torch.dtype) -> torch.Tensor:
    """The output of a fused kernel: bias added in float32, one rounding to T. `total` is (M, N) float32, `bias` (N,)."""
    return (total if bias is None else flush(total + bias.float())).to(dtype)


def steps_of_lanes(terms: torch.Tensor) -> torch.Tensor:
    """(..., K) in the order of a lane's steps: (groups * 32, ..., lanes), padded with zeros, which change no sum."""
    padded = torch.nn.functional.pad(terms, (0, -terms.shape[-1] % (LANES * PER_LANE)))
    grouped = padded.reshape(*terms.shape[:-1], -1, LANES, PER_LANE)  # ..., group, lane, step
    return grouped.movedim(-2, -1).flatten(-3, -2).movedim(-2, 0)


def reaches_subnormal(values: torch.Tensor, least: float) -> bool:
    """Whether a number other than 0 is smaller than `least`, so that sums may have to be flushed.

    Sums of numbers that are all multiples of q are multiples of q. A 16-bit number above 2**-100 is a multiple of
    2**-111, and a product of two float32 numbers above 2**-35 one of 2**-118: neither leads below 2**-126.
    """
    return bool(((values != 0) & (values.abs() < least)).any())


def sum_by_lane(terms: torch.Tensor, pairs_first: bool, tree: tuple[int, ...]) -> torch.Tensor:  # noqa: FBT001 - quoted in scripts
    """Sum of float32 terms (..., K): each lane in order, the fused kernel two neighbours at once, then the lanes."""
    tiny = reaches_subnormal(terms, 2.0**-100)  # 16-bit numbers: no sum of larger ones is subnormal, unless it is 0
    steps = steps_of_lanes(flush(terms) if tiny else terms)
    if pairs_first:  # acc += p.x + p.y
        steps = steps[0::2] + steps[1::2]
    total = torch.zeros_like(steps[0])
    for step in steps:
        total = flush(total + flush(step)) if tiny else total + step
    return sum_of_lanes(total, tree)


def sum_by_lane_float32(activation: torch.Tensor, weight: torch.Tensor, places: tuple[int, ...], tree: tuple[int, ...]) -> torch.Tensor:
    """Sum of unrounded products of (M, K) and (N, K), float32, by fused multiply-adds: each lane in order, then the lanes."""
    tiny = reaches_subnormal(activation, 2.0**-35) or reaches_subnormal(weight, 2.0**-35)
    x, w = steps_of_lanes(flush(activation)[:, None, :]), steps_of_lanes(flush(weight)[None])
    total = torch.zeros((x.shape[1], w.shape[2], LANES), device=x.device)
    for first in range(0, len(x), 8):
        for place in places:
            total = multiply_add(x[first + place], w[first + place], total)
            total = flush(total) if tiny else total
    return sum_of_lanes(total, tree)


def sum_of_lanes(lanes: torch.Tensor, tree: tuple[int, ...]) -> torch.Tensor:
    """Sum of 32 lanes (..., 32) as shuffles add them: lane l takes lane l + offset; lane 0 has the result."""
    for offset in tree:
        shifted = torch.cat((lanes[..., offset:], lanes[..., LANES - offset :]), dim=-1)
        lanes = flush(lanes + shifted)
    return lanes[..., 0]
