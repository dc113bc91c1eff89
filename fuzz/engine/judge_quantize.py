"""Judges `quantize_4bit`: room for every element, then the statistics, then the codes."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any, Final

import torch

from fuzz.engine.calls import Prepared
from fuzz.engine.desk import desk_for
from fuzz.engine.error_grid import error_grid
from fuzz.engine.judge import Question
from fuzz.engine.tensors import STORAGE_DTYPES
from fuzz.engine.verdict import TOO_SHORT, Grade, PathVerdict, Symptom
from fuzz.oracle import quantizing
from fuzz.oracle.codebooks import dynamic_map
from fuzz.oracle.operands import Nested, block_scales_float32, code_table
from fuzz.oracle.quantizing import Coded, Worst, worst_of
from fuzz.oracle.reference import NESTED_BLOCKSIZE, nibbles, packed_bytes
from reports.errors import ErrorGrid
from strategies.case import Case

STATISTICS: Final = "blocks of statistics"
SURPLUS: Final = "more statistics than blocks"

CODE_TABLE: Final = "code table"
EIGHT_BIT_MAP: Final = "8-bit map"
OF_TABLES: Final = frozenset({CODE_TABLE, EIGHT_BIT_MAP})
"""What is wrong with a table that the library keeps from call to call."""


MAP_TOLERANCE: Final = 22 * 2.0**-24
"""Upstream computes the 8-bit map with float32 linspace: two roundings at magnitude 1 (20 v relative to the smallest
value 0.1), one of the midpoint, one of the product. Neighbours of the map differ by more than 10**-3."""


def judge_quantized(question: Question, prepared: Prepared) -> PathVerdict:
    """The verdict on packed weight and statistics: their sizes, then their numbers.

    Plain statistics that are more than the blocks come last: their first ones are judged as if they were all, because they may be
    wrong for another reason.
    """
    too_many = None if prepared.state.state2 is not None else _judge_surplus(question, prepared)
    if too_many is not None:
        prepared = _without_surplus(prepared)
    return _judge_sizes(question, prepared) or _judge_numbers(question, prepared) or too_many or question.answer()


def _blocks(case: Case) -> int:
    return math.ceil(case.weight.elements / case.quantization.blocksize)


def _judge_surplus(question: Question, prepared: Prepared) -> PathVerdict | None:
    blocks, held = _blocks(question.case), prepared.state.absmax.numel()
    if held <= blocks:
        return None
    return question.answer(Symptom.WRONG_SHAPE, SURPLUS, expected=f"{STATISTICS}: {blocks}", got=str(held))


def _without_surplus(prepared: Prepared) -> Prepared:
    state = copy.copy(prepared.state)
    state.absmax = state.absmax[: _blocks(prepared.case)]
    return dataclasses.replace(prepared, state=state)


def with_the_published_table(prepared: Prepared) -> Prepared:
    """The same with the code table that the documents name, for what comes after a quantization that stored another one.

    Some kernels read the stored table and others have their own, so that by neither table all of them would be right.
    """
    state = copy.copy(prepared.state)
    state.code = code_table(prepared.case.quantization.quant_type, state.code.device)
    return dataclasses.replace(prepared, state=state)


def _judge_sizes(question: Question, prepared: Prepared) -> PathVerdict | None:
    case, state = question.case, prepared.state
    needed = math.ceil(case.weight.elements / 2)
    storage = STORAGE_DTYPES[case.quantization.storage]
    checks: list[tuple[Symptom, str, Any, Any]] = [
        (Symptom.WRONG_DTYPE, "dtype of the packed weight", storage, prepared.packed.dtype),
        (Symptom.WRONG_SHAPE, STATISTICS, _blocks(case), state.absmax.numel()),
        (Symptom.WRONG_SHAPE, "shape of the state", case.weight.stored_shape, tuple(state.shape)),
    ]
    held = prepared.packed.numel() * prepared.packed.element_size()
    if held < needed:
        expected, got = f"room for {case.weight.elements} elements: {needed} bytes", f"{held} bytes"
        return question.answer(Symptom.WRONG_SHAPE, TOO_SHORT, expected=expected, got=got)
    for symptom, name, expected, got in checks:
        if expected != got:
            return question.answer(symptom, name, expected=f"{name}: {expected}", got=str(got))
    return None


def _judge_numbers(question: Question, prepared: Prepared) -> PathVerdict | None:
    weight = prepared.weight.detach()
    weight = weight.to(desk_for(question.case, weight.device))
    for name, check in _checks(question, prepared, weight):
        worst = check()
        if worst is not None:
            expected = f"{name}: {worst.expected:.9g} at flat index {worst.index}"
            got = f"{worst.got:.9g}; {worst.count} are wrong"
            verdict = question.answer(Symptom.WRONG_VALUE, name, expected=expected, got=got, grade=Grade.DEFINITE)
            return dataclasses.replace(verdict, errors=_grid(worst, prepared.weight.shape))
    return None


def _grid(worst: Worst, shape: torch.Size) -> ErrorGrid:
    """Where the numbers are wrong: over the weight if it is those of its elements, else in one row."""
    drawn = shape if len(worst.wrong) == shape.numel() else torch.Size((1, len(worst.wrong)))
    return error_grid(worst.ratio.reshape(drawn), worst.wrong.reshape(drawn))


def _checks(question: Question, prepared: Prepared, weight: torch.Tensor) -> Iterator[tuple[str, Callable[[], Worst | None]]]:
    """Names of what is checked, and the checks, each of which relies on those before it."""
    case, state = question.case, prepared.state
    blocksize, table = case.quantization.blocksize, code_table(case.quantization.quant_type)
    yield CODE_TABLE, lambda: _differs(table, state.code.detach().cpu(), torch.zeros(()))
    if not bool(weight.isfinite().all()):
        return  # no document says what becomes of infinities and NaN
    decoded = block_scales_float32(state)[Nested.SEPARATE]
    if state.state2 is None:
        yield "scales", lambda: quantizing.wrong_scales(weight, blocksize, decoded)
    else:
        scales = quantizing.block_scales(weight, blocksize).float().cpu()
        yield from _nested_checks(state, scales, quantizing.CPU_STEP_8BIT if prepared.library.device == "cpu" else 0.0)
    # Element by element where the weight is, because for a large one a CPU would take longer for it than for all the rest.
    index = nibbles(packed_bytes(prepared.packed).to(weight.device), case.weight.elements)
    coded = Coded(weight, blocksize, index, table.to(weight.device))
    yield "codes", lambda: quantizing.wrong_codes(coded)
    yield "blocks of zeros", lambda: quantizing.wrong_zeros(coded, decoded.to(weight.device))


def _nested_checks(state: Any, scales: torch.Tensor, step: float) -> Iterator[tuple[str, Callable[[], Worst | None]]]:
    index, code8, offset = (part.detach().cpu() for part in (state.absmax, state.state2.code, state.offset))
    ours = torch.tensor(dynamic_map(), dtype=torch.float64)
    # The CPU quantizer replaces the lowest value by -1 ("can cause an error in the binary search", csrc/cpu_ops.cpp).
    ours[0] = -1.0 if float(code8[0]) == -1.0 else ours[0]
    shifted = quantizing.shifted_scales(scales, offset)
    yield EIGHT_BIT_MAP, lambda: _differs(ours, code8, MAP_TOLERANCE * ours.abs())
    if not bool((scales > 0).any()):
        return  # all zeros: the CPU quantizer keeps their scales a little above zero, and nothing says how far
    yield "offset", lambda: quantizing.wrong_offset(scales, float(offset))
    yield (
        "outer scales",
        lambda: quantizing.wrong_outer_scales(shifted, state.state2.absmax.detach().cpu()),
    )
    yield (
        "8-bit codes",
        lambda: quantizing.wrong_codes(Coded(shifted, NESTED_BLOCKSIZE, index, code8), quantizing.NEAR_TIE_8BIT, step),
    )


def _differs(ours: torch.Tensor, theirs: torch.Tensor, tolerance: torch.Tensor) -> Worst | None:
    off = (theirs.double() - ours.double()).abs()
    return worst_of(off, tolerance.double(), ~(off <= tolerance.double()), ours, theirs)
