"""Faults of quantizing: wrong scales, wrong codes, wrong statistics of statistics."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Final

import torch

from fuzz.engine.calls import Prepared
from fuzz.oracle.operands import code_table
from fuzz.oracle.quantizing import block_scales, blocks_of
from fuzz.selfcheck import edits
from fuzz.selfcheck.edits import with_absmax, with_offset, with_packed, with_state2
from fuzz.selfcheck.fault import Fault, Step
from strategies.case import Case, Fill, QuantType

UNEQUAL: Final = frozenset({Fill.NORMAL, Fill.HEAVY_TAILED, Fill.CANCELLING, Fill.HUGE, Fill.TINY})
"""Fills whose blocks and elements mostly differ."""


def plain(case: Case) -> bool:
    """Statistics that are not compressed, several blocks, unequal elements."""
    return not case.quantization.compress_statistics and several_blocks(case)


def several_blocks(case: Case) -> bool:
    """More than one block, of unequal elements."""
    return case.weight.elements > case.quantization.blocksize and case.weight.fill in UNEQUAL


def nested(case: Case) -> bool:
    """Compressed statistics of several blocks."""
    return case.quantization.compress_statistics and several_blocks(case)


def _two_outer_blocks(case: Case) -> bool:
    return nested(case) and case.weight.elements > 256 * case.quantization.blocksize


def _recoded(prepared: Prepared, scale: Callable[[torch.Tensor], torch.Tensor], threshold: float = 0.0) -> torch.Tensor:
    """The nibbles that a quantizer with other scales per block, or thresholds that are too high by a part of themselves, gives."""
    case = prepared.case
    blocks = blocks_of(prepared.weight.cpu(), case.quantization.blocksize)
    table = code_table(case.quantization.quant_type).double()
    ascending, order = table.sort(stable=True)
    middle = (ascending[1:] + ascending[:-1]) / 2
    largest = scale(blocks)
    ratio = blocks / torch.where(largest == 0, 1.0, largest)[:, None]
    index = order[torch.searchsorted(middle * (1 + threshold), ratio.contiguous())].flatten()[: case.weight.elements].to(torch.uint8)
    pairs = torch.nn.functional.pad(index, (0, len(index) % 2)).reshape(-1, 2)
    return (pairs[:, 0] << 4 | pairs[:, 1]).to(prepared.packed.device)


def _with_recoded(scale: Callable[[torch.Tensor], torch.Tensor], prepared: Prepared, generator: torch.Generator) -> Prepared:
    codes = _recoded(prepared, scale)
    changed = with_packed(prepared, lambda data, _: torch.cat((codes, data[len(codes) :])), generator)
    state = changed.own_state()
    state.absmax = scale(blocks_of(prepared.weight.cpu(), prepared.case.quantization.blocksize)).float().to(state.absmax.device)
    return dataclasses.replace(changed, state=state)


def _without_last(blocks: torch.Tensor) -> torch.Tensor:
    return blocks[:, :-1].abs().amax(-1)


def _signed(blocks: torch.Tensor) -> torch.Tensor:
    return blocks.amax(-1).clamp(min=0)


def _in_bfloat16(blocks: torch.Tensor) -> torch.Tensor:
    return blocks.abs().amax(-1).bfloat16().double()


def _threshold_off(prepared: Prepared, generator: torch.Generator) -> Prepared:
    codes = _recoded(prepared, lambda blocks: blocks.abs().amax(-1), threshold=0.01)
    return with_packed(prepared, lambda data, _: torch.cat((codes, data[len(codes) :])), generator)


def _next_code(data: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    place = edits.pick(len(data), generator)
    data[place] = (data[place] & 15) | (((data[place] >> 4) + 1) % 16 << 4)
    return data


def _sign_lost(data: torch.Tensor, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001 - one signature
    return data & 0x77


def _odd_tail(prepared: Prepared, generator: torch.Generator) -> Prepared:
    def change(data: torch.Tensor, _: torch.Generator) -> torch.Tensor:
        data[(prepared.case.weight.elements - 1) // 2] = 0
        return data

    return with_packed(prepared, change, generator)


def _too_short(prepared: Prepared, generator: torch.Generator) -> Prepared:  # noqa: ARG001
    return dataclasses.replace(prepared, packed=prepared.packed[:-1])


def _wrong_entry(code: torch.Tensor) -> torch.Tensor:
    code[200] *= 1.01
    return code


def _code_wrong(prepared: Prepared, generator: torch.Generator) -> Prepared:
    state = prepared.own_state()
    state.code = state.code.clone()
    state.code[edits.pick(6, generator) + 1] *= 1.01
    return dataclasses.replace(prepared, state=state)


def _zero_coded_as_one(prepared: Prepared, generator: torch.Generator) -> Prepared:
    """What 0 * (1 / 0) = NaN becomes in a chain of comparisons that are all false: the first code, -1 in NF4."""
    empty = block_scales(prepared.weight.cpu(), prepared.case.quantization.blocksize) == 0
    bytes_of_block = prepared.case.quantization.blocksize // 2

    def change(data: torch.Tensor, _: torch.Generator) -> torch.Tensor:
        data[empty.repeat_interleave(bytes_of_block)[: len(data)].to(data.device)] = 0
        return data

    return with_packed(prepared, change, generator)


def _has_zero_block(case: Case) -> bool:
    wide = case.weight.in_features >= 2 * case.quantization.blocksize and case.weight.fill is Fill.ONE_HOT
    return case.quantization.compress_statistics and wide and case.quantization.quant_type is QuantType.NF4


def _fault(name: str, corrupt: Callable[[Prepared, torch.Generator], Prepared], applies: Callable[[Case], bool]) -> Fault:
    return Fault(name=name, step=Step.QUANTIZE, corrupt=corrupt, applies=applies)


FAULTS: Final = (
    _fault("one block takes its neighbour's scale", lambda p, g: with_absmax(p, edits.neighbours_scale, g), plain),
    _fault("scale index off by one", lambda p, g: with_absmax(p, edits.shifted_scales, g), plain),
    _fault("scale without the last element of a block", functools.partial(_with_recoded, _without_last), plain),
    _fault("scale is the maximum, not of magnitudes", functools.partial(_with_recoded, _signed), plain),
    _fault("scale rounded to bfloat16", functools.partial(_with_recoded, _in_bfloat16), plain),
    _fault("nibbles of one byte swapped", lambda p, g: with_packed(p, edits.swapped_nibbles, g), several_blocks),
    _fault("low nibble first", lambda p, g: with_packed(p, edits.all_nibbles_swapped, g), several_blocks),
    _fault("lowest bit of one code flipped", lambda p, g: with_packed(p, edits.flipped_bit, g), several_blocks),
    _fault("one code above the nearest", lambda p, g: with_packed(p, _next_code, g), several_blocks),
    _fault("thresholds between codes 1 % too high", _threshold_off, lambda case: case.weight.fill in UNEQUAL),
    _fault("sign of FP4 lost", lambda p, g: with_packed(p, _sign_lost, g), lambda c: c.quantization.quant_type is QuantType.FP4),
    _fault("odd last element not written", _odd_tail, lambda case: case.weight.elements % 2 == 1),
    _fault("packed weight one byte too short", _too_short, lambda case: case.weight.elements > 2),  # noqa: PLR2004
    _fault("one entry of the code table 1 % off", _code_wrong, lambda case: True),  # noqa: ARG005
    _fault("nested: offset stored as zero", lambda p, g: with_offset(p, torch.zeros_like), nested),  # noqa: ARG005
    _fault("nested: 8-bit index off by one", lambda p, g: with_absmax(p, lambda index, _: index ^ 1, g), nested),
    _fault("nested: outer scales shifted", lambda p, g: with_state2(p, "absmax", lambda a: a.roll(1)), _two_outer_blocks),  # noqa: ARG005
    _fault("nested: one entry of the 8-bit map 1 % off", lambda p, g: with_state2(p, "code", _wrong_entry), nested),  # noqa: ARG005
    _fault("nested: block of zeros coded as minus one", _zero_coded_as_one, _has_zero_block),
)
