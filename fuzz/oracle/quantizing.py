"""Quantizing, judged by itself: every scale exact, every code a nearest one.

A block of weights w has the scale a = max|w|, exactly: a maximum rounds nothing. The code of w is one for which
|w - c * a| is smallest. Which one is taken near a tie depends on how w / a and the thresholds between codes are
rounded; what that can move is derived below, and everything further away is wrong.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass, field
from typing import Final

import torch

from fuzz.oracle.reference import NESTED_BLOCKSIZE
from fuzz.oracle.rounding import FLUSH, V, gamma

NORMALIZED: Final = 5 * V
"""Relative error of w / a as kernels compute it: `1.0f / a` with --use_fast_math is off by 2 units in the last place of
float32, 4 v (CUDA C++ Programming Guide, intrinsic division), and the product with it rounds once more."""

THRESHOLD: Final = 5e-6
"""Relative error of a threshold between two codes: upstream writes them as decimals of six significant digits or more
(`dQuantizeFP4`, csrc/kernels.cu: 0.583333f for 7/12), and six digits are off by half a unit of the sixth."""

NEAR_TIE: Final = 2 * (NORMALIZED + THRESHOLD)
"""If w / a is within delta of a tie, then the two distances differ by 2 delta. Relative to |w|."""

NEAR_TIE_8BIT: Final = 2 * (NORMALIZED + 2 * V)
"""The same for the 8-bit map: its thresholds are computed, (c1 + c2) * 0.5f, with at most two roundings."""

CPU_STEP_8BIT: Final = 2 * (1 / 65535 + 8 * V)
"""The CPU's 8-bit quantizer looks w / a up in a table of 65,536 equal steps over [-1, 1] (csrc/cpu_ops.cpp of 0.50), so
that a threshold is off by up to half a step, and computes the place with four float32 roundings. Relative to a."""

SUBNORMAL: Final = 4 * FLUSH
"""What flushing may change in all, absolutely: elements, their differences, sums and quotients, each by less than the smallest
normal float32. (Upstream's CPU backend divides by 1e-38 at least and stores that as a scale; it is less than that number.)"""


@dataclass(frozen=True)
class Coded:
    """What was quantized and what it became.

    Attributes:
        values: the elements in the order in which they lie in memory; any float dtype, finite.
        blocksize: elements of a scale.
        index: (elements,) integers, the code of every element.
        table: the code table.
    """

    values: torch.Tensor
    blocksize: int
    index: torch.Tensor
    table: torch.Tensor

    @functools.cached_property
    def blocks(self) -> torch.Tensor:
        """The elements, (blocks, blocksize) float64, the last block filled up with zeros."""
        return blocks_of(self.values, self.blocksize)

    @functools.cached_property
    def scales(self) -> torch.Tensor:
        """The largest magnitude of every block, (blocks, 1) float64."""
        return self.blocks.abs().amax(-1, keepdim=True)


@dataclass(frozen=True, slots=True)
class Worst:
    """The element of a tensor that is furthest from right: its flat index, what it should be and what it is.

    Attributes:
        count: how many are wrong.
        ratio: of every element the error over what is allowed, flat, float64; infinite where nothing is and there is an error.
        wrong: which elements are wrong, flat.
    """

    index: int
    expected: float
    got: float
    count: int
    ratio: torch.Tensor = field(compare=False, repr=False)
    wrong: torch.Tensor = field(compare=False, repr=False)


def blocks_of(values: torch.Tensor, blocksize: int) -> torch.Tensor:
    """A flat tensor as rows of one block each, (blocks, blocksize) in float64, the last row filled up with zeros."""
    flat = values.flatten().double()
    return torch.nn.functional.pad(flat, (0, -flat.numel() % blocksize)).reshape(-1, blocksize)


def block_scales(values: torch.Tensor, blocksize: int) -> torch.Tensor:
    """max|w| of every block, (blocks,) float64: exact."""
    return blocks_of(values, blocksize).abs().amax(-1)


def wrong_scales(values: torch.Tensor, blocksize: int, absmax: torch.Tensor) -> Worst | None:
    """The scale (of `absmax`, (blocks,)) that is not the largest magnitude of its block.

    A block of zeros may have any scale: upstream's CPU backend keeps it above 0 so as not to divide by it. What it
    decodes to is for `wrong_zeros`.
    """
    right = block_scales(values, blocksize).to(absmax.device)
    off = (absmax.double() - right).abs()
    return worst_of(off, SUBNORMAL, ~(off <= SUBNORMAL) & (right != 0), right, absmax)


def wrong_zeros(coded: Coded, absmax: torch.Tensor) -> Worst | None:
    """The element of an all-zero block that does not decode to zero: every code table has an exact zero.

    Args:
        coded: the elements and their codes.
        absmax: (blocks,) the scales as they will be decoded.
    """
    count, blocksize = coded.values.numel(), coded.blocksize
    empty_blocks = coded.scales.flatten() == 0
    if not bool(empty_blocks.any()):
        return None
    empty = empty_blocks.repeat_interleave(blocksize)[:count]
    decoded = coded.table.double()[coded.index.long()] * absmax.double().repeat_interleave(blocksize)[:count]
    wrong = empty & (decoded != 0)
    return worst_of(torch.where(wrong, decoded.abs(), 0.0), 0.0, wrong, coded.values.flatten().double(), decoded)


def wrong_codes(coded: Coded, near_tie: float = NEAR_TIE, step: float = 0.0) -> Worst | None:
    """The element whose code is not a nearest one.

    Args:
        coded: the elements and their codes.
        near_tie: distances that differ by less than this, relative to |w|, are a tie.
        step: the same relative to the block's scale.
    """
    places = _doubtful(coded)
    if not len(places):
        return None
    table, scale = coded.table.double(), coded.scales.flatten()[places // coded.blocksize]
    flat = coded.blocks.flatten()[places]
    chosen = table[coded.index[places].long()] * scale
    excess = (flat - chosen).abs() - _nearest_distance(flat, scale, table)
    # What float64 itself may be off by: two products and two differences of magnitude |w| + a.
    slack = near_tie * flat.abs() + step * scale + 2.0**-50 * (flat.abs() + scale) + SUBNORMAL
    worst = worst_of(excess, slack, ~(excess <= slack), flat, chosen)
    if worst is None:
        return None
    ratio, wrong = torch.zeros(len(coded.index), dtype=torch.float64), torch.zeros(len(coded.index), dtype=torch.bool)
    ratio[places.cpu()], wrong[places.cpu()] = worst.ratio.cpu(), worst.wrong.cpu()
    return dataclasses.replace(worst, index=int(places[worst.index]), ratio=ratio, wrong=wrong)


def _doubtful(coded: Coded) -> torch.Tensor:
    """Flat indices of the elements that do not lie between the ties of their code with its two neighbours: few, where all is right.

    What does lie there has its nearest code, but for the float64 roundings of a tie, which `wrong_codes` allows for.
    """
    blocks, count = coded.blocks, len(coded.index)
    code = torch.nn.functional.pad(coded.index.int(), (0, blocks.numel() - count))
    below, above = (tie.index_select(0, code).reshape(blocks.shape) * coded.scales for tie in _ties(coded.table.double()))
    between = torch.clamp(blocks, below, above)
    if torch.equal(between, blocks):  # a quarter of the time that it takes to list nothing
        return torch.zeros(0, dtype=torch.int64, device=blocks.device)
    return (between != blocks).flatten()[:count].nonzero().flatten()


def _ties(table: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The midpoints below and above each code of `table`; beyond all numbers for the smallest and the largest code."""
    ascending = table.sort().values
    middle = (ascending[1:] + ascending[:-1]) / 2
    end = torch.full((1,), torch.finfo(torch.float64).max, dtype=torch.float64, device=table.device)
    first, last = torch.searchsorted(ascending, table), torch.searchsorted(ascending, table, right=True) - 1  # FP4 has two zeros
    return torch.cat((-end, middle))[first], torch.cat((middle, end))[last]


def _nearest_distance(flat: torch.Tensor, scale: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Min over c of |w - c * a|, by the two codes around w / a."""
    ascending = table.sort().values
    middle = (ascending[1:] + ascending[:-1]) / 2
    ratio = torch.where(scale > 0, flat / torch.where(scale > 0, scale, 1.0), 0.0)
    place = torch.searchsorted(middle, ratio)
    around = torch.stack([(place + step).clamp(0, len(ascending) - 1) for step in (-1, 0, 1)])
    return (flat - ascending[around] * scale).abs().amin(0)


def wrong_offset(scales: torch.Tensor, offset: float) -> Worst | None:
    """The offset of compressed statistics, if it is not the mean of the scales within float32's sum in any order."""
    mean = scales.double().mean()
    bound = (gamma(scales.numel() + 1, V) + V) * scales.double().abs().mean() + SUBNORMAL
    off = (mean - offset).abs()
    return worst_of(off[None], bound[None], ~(off <= bound)[None], mean[None], torch.tensor([offset]))


def shifted_scales(scales: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """What the second level quantizes: fl32(scale - offset), (blocks,) float32."""
    return scales.float() - offset


def wrong_outer_scales(shifted: torch.Tensor, outer: torch.Tensor) -> Worst | None:
    """The second level's scale that is not the largest magnitude of its 256."""
    return wrong_scales(shifted, NESTED_BLOCKSIZE, outer)


def worst_of(
    distance: torch.Tensor, allowed: torch.Tensor | float, wrong: torch.Tensor, expected: torch.Tensor, got: torch.Tensor
) -> Worst | None:
    """The worst of the elements that are `wrong`; None if none is. All are flat, and `allowed` is what `distance` may be."""
    if not bool(wrong.any()):
        return None
    index = int(torch.where(wrong, torch.nan_to_num(distance, nan=torch.inf), -1.0).argmax())
    ratio = torch.where(distance == 0, 0.0, distance.double() / allowed)
    return Worst(index, float(expected[index]), float(got[index]), int(wrong.sum()), ratio, wrong)
