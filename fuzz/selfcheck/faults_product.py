"""Faults of multiplying: what a kernel reads, and what it does with its result."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

import torch

from fuzz.engine.calls import Prepared
from fuzz.engine.guarded import HALO, Guarded
from fuzz.oracle.arms import Arm
from fuzz.selfcheck import edits
from fuzz.selfcheck.edits import Edit, with_absmax, with_offset, with_packed
from fuzz.selfcheck.fault import PRODUCT_ARMS, Fault, Spoil, Step
from fuzz.selfcheck.faults_quantize import nested, plain, several_blocks
from strategies.case import Case, Fill, FloatDType

_DENSE: Final = frozenset({Fill.NORMAL, Fill.HEAVY_TAILED, Fill.CANCELLING})
_WITH_ROWS: Final = (Arm.SIMT, Arm.TENSOR_CORE, Arm.LINEAR)
"""Kernels that take more than one row; the legacy gemv does not."""
_WITH_BIAS: Final = _WITH_ROWS


def dense(case: Case) -> bool:
    """Every element of activation and weight counts."""
    return case.activation.fill in _DENSE and several_blocks(case)


def _with_activation(prepared: Prepared, change: Edit, generator: torch.Generator) -> Prepared:
    flat = prepared.activation.clone().reshape(-1, prepared.case.weight.in_features)
    return dataclasses.replace(prepared, activation=change(flat, generator).reshape(prepared.activation.shape))


def _one_term_dropped(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    x[:, edits.pick(x.shape[1], generator)] = 0
    return x


def _tail_dropped(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001 - one signature
    x[:, -16:] = 0
    return x


def _chunk_dropped(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    first = 32 * edits.pick(-(-x.shape[1] // 32), generator)
    x[:, first : first + 32] = 0
    return x


def _step_doubled(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    first = 16 * edits.pick(-(-x.shape[1] // 16), generator)
    x[:, first : first + 16] *= 2
    return x


def _chunk_of_next_row(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    first = 8 * edits.pick(-(-x.shape[1] // 8), generator)
    x[:, first : first + 8] = x.roll(-1, 0)[:, first : first + 8].clone()
    return x


def _pairs_swapped(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    even = x.shape[1] // 2 * 2
    x[:, :even] = x[:, :even].reshape(len(x), -1, 2).flip(-1).reshape(len(x), even)
    return x


def _matrix(result: torch.Tensor, prepared: Prepared) -> torch.Tensor:
    return result.clone().reshape(-1, prepared.case.weight.out_features)


def _on_matrix(change: Edit) -> Spoil:
    """A change to the result seen as (rows, outputs)."""

    def spoil(result: torch.Tensor, prepared: Prepared, generator: torch.Generator) -> torch.Tensor:
        return change(_matrix(result, prepared), generator).reshape(result.shape)

    return spoil


def _last_output_dropped(out: torch.Tensor, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    out[:, -1] = 0
    return out


def _last_row_dropped(out: torch.Tensor, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    out[-1] = 0
    return out


def _stale_row(out: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    row = edits.pick(len(out) - 1, generator)
    out[row + 1] = out[row]
    return out


def _rows_swapped(out: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    row = edits.pick(len(out) - 1, generator)
    out[[row, row + 1]] = out[[row + 1, row]]
    return out


def _outputs_swapped(out: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    column = edits.pick(out.shape[1] - 1, generator)
    out[:, [column, column + 1]] = out[:, [column + 1, column]]
    return out


def _one_not_written(out: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    out.view(-1)[edits.pick(out.numel(), generator)] = torch.nan
    return out


def _written_one_further(out: torch.Tensor, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    return out.flatten().roll(1).reshape(out.shape)


def _one_last_bit(out: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    place = edits.pick(out.numel(), generator)
    flat = out.view(-1)
    flat[place] = torch.nextafter(flat[place], torch.full_like(flat[place], torch.inf))
    return out


def _race(result: torch.Tensor, prepared: Prepared, generator: torch.Generator) -> torch.Tensor:
    """Two warps add to one output without waiting: sometimes one part is lost."""
    out = _matrix(result, prepared)
    if edits.pick(3, generator) == 0:
        half = prepared.case.weight.in_features // 2
        row, column = edits.pick(len(out), generator), edits.pick(out.shape[1], generator)
        weight = prepared.weight.reshape(prepared.case.weight.stored_shape)[column].double()
        x = prepared.activation.reshape(-1, prepared.case.weight.in_features)[row].double()
        out[row, column] = (x[:half] @ weight[:half]).to(out.dtype)
    return out.reshape(result.shape)


def _clamped(out: torch.Tensor, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    return out.clamp(-torch.finfo(out.dtype).max, torch.finfo(out.dtype).max)


def _tiny_flushed(out: torch.Tensor, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    return torch.where(out.abs() < 2.0**-14, torch.zeros_like(out), out)


def _past_the_end(result: torch.Tensor, prepared: Prepared, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    """One element more than there is room for, into a buffer of the caller's."""
    guarded = Guarded(result.shape, result.dtype, result.device)
    guarded.buffer[HALO : HALO + result.numel() + 1] = torch.cat((result.flatten(), result.flatten()[:1]))
    return guarded.checked()


def _without_bias(prepared: Prepared, generator: torch.Generator) -> Prepared:  # noqa: ARG001
    return dataclasses.replace(prepared, bias=None)


def _bias_read_past_the_end(prepared: Prepared, generator: torch.Generator) -> Prepared:  # noqa: ARG001
    return dataclasses.replace(prepared, bias=None if prepared.bias is None else prepared.bias.roll(-1))


def _bias_twice(prepared: Prepared, generator: torch.Generator) -> Prepared:  # noqa: ARG001
    return dataclasses.replace(prepared, bias=None if prepared.bias is None else prepared.bias * 2)


def _rows(case: Case) -> bool:
    return case.activation.rows > 1 and dense(case)


def _outputs(case: Case) -> bool:
    return case.weight.out_features > 1 and dense(case)


def _biased(case: Case) -> bool:
    return case.bias and case.weight.out_features > 1


def _dense_plain(case: Case) -> bool:
    return plain(case) and dense(case)


def _dense_nested(case: Case) -> bool:
    return nested(case) and dense(case)


def _huge(case: Case) -> bool:
    if case.activation.fill is Fill.INFINITE:
        return True
    half = case.activation_dtype is FloatDType.FLOAT16
    return half and case.activation.fill is Fill.HUGE and case.weight.fill not in (Fill.ONE_HOT, Fill.TINY)


def _tiny(case: Case) -> bool:
    return case.weight.fill is Fill.TINY and case.activation.fill not in (Fill.HUGE, Fill.ONES, Fill.ONE_HOT)


def _corrupt(
    name: str,
    corrupt: Callable[[Prepared, torch.Generator], Prepared],
    applies: Callable[[Case], bool],
    arms: tuple[Arm, ...] = PRODUCT_ARMS,
) -> Fault:
    return Fault(name=name, step=Step.PRODUCT, arms=arms, corrupt=corrupt, applies=applies)


def _spoil(name: str, spoil: Spoil, applies: Callable[[Case], bool], arms: tuple[Arm, ...] = PRODUCT_ARMS) -> Fault:
    return Fault(name=name, step=Step.PRODUCT, arms=arms, spoil=spoil, applies=applies)


READING: Final = (
    _corrupt("one block takes its neighbour's scale", lambda p, g: with_absmax(p, edits.neighbours_scale, g), _dense_plain),
    _corrupt("scale index off by one", lambda p, g: with_absmax(p, edits.shifted_scales, g), dense),
    _corrupt("nibbles of one byte swapped", lambda p, g: with_packed(p, edits.swapped_nibbles, g), dense),
    _corrupt("low nibble first", lambda p, g: with_packed(p, edits.all_nibbles_swapped, g), dense),
    _corrupt("lowest bit of one code flipped", lambda p, g: with_packed(p, edits.flipped_bit, g), dense),
    _corrupt("nested: offset forgotten", lambda p, g: with_offset(p, torch.zeros_like), _dense_nested),  # noqa: ARG005
    _corrupt("nested: 8-bit index off by one", lambda p, g: with_absmax(p, lambda index, _: index ^ 1, g), _dense_nested),
    _corrupt("one term dropped", lambda p, g: _with_activation(p, _one_term_dropped, g), dense),
    _corrupt("tail of the terms dropped", lambda p, g: _with_activation(p, _tail_dropped, g), dense),
    _corrupt("one chunk of 32 terms dropped", lambda p, g: _with_activation(p, _chunk_dropped, g), dense),
    _corrupt("one step of 16 terms added twice", lambda p, g: _with_activation(p, _step_doubled, g), dense),
    _corrupt("pairs of terms swapped", lambda p, g: _with_activation(p, _pairs_swapped, g), dense),
    _corrupt("one chunk of the activation from the next row", lambda p, g: _with_activation(p, _chunk_of_next_row, g), _rows, _WITH_ROWS),
    _corrupt("bias forgotten", _without_bias, _biased, _WITH_BIAS),
    _corrupt("bias read one too far", _bias_read_past_the_end, _biased, _WITH_BIAS),
    _corrupt("bias added twice", _bias_twice, _biased, _WITH_BIAS),
)
"""Faults in what a kernel reads."""

WRITING: Final = (
    _spoil("last output dropped", _on_matrix(_last_output_dropped), dense),
    _spoil("last row dropped", _on_matrix(_last_row_dropped), _rows, _WITH_ROWS),
    _spoil("stale row", _on_matrix(_stale_row), _rows, _WITH_ROWS),
    _spoil("two rows swapped", _on_matrix(_rows_swapped), _rows, _WITH_ROWS),
    _spoil("two outputs swapped", _on_matrix(_outputs_swapped), _outputs),
    _spoil("one output not written", _on_matrix(_one_not_written), dense),
    _spoil("every output written one element further", _on_matrix(_written_one_further), _outputs),
    _spoil("one element written past the end", _past_the_end, dense),
    _spoil("last bit of one output", _on_matrix(_one_last_bit), dense),
    _spoil("race between two warps", _race, dense),
    _spoil("infinity clamped to the largest number", _on_matrix(_clamped), _huge, _WITH_ROWS),
    _spoil("subnormal outputs flushed", _on_matrix(_tiny_flushed), _tiny),
)
"""Faults in what a kernel does with its result."""
