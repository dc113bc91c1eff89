"""Runs the grid on this process's device and counts where outputs lie."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Final

import torch

from fuzz.calibrate.grid import Setting, settings
from fuzz.calibrate.tally import Tallies
from fuzz.engine import paths
from fuzz.engine.calls import Prepared, prepare
from fuzz.engine.judge_values import definitely_wrong, error_model_of
from fuzz.engine.launches import arms_of, launched
from fuzz.engine.library import Library
from fuzz.engine.path import Path
from fuzz.engine.references import References
from fuzz.engine.tensors import FLOAT_DTYPES, Inputs
from fuzz.oracle.arms import Arm
from fuzz.oracle.bounds import interval, narrowest
from fuzz.oracle.expected import Arithmetic, expected
from fuzz.oracle.operands import Nested
from fuzz.oracle.tensor_core import BY_MAJOR, VOLTA, TensorCore
from strategies.case import Case, Fill, PackedView, Stream
from strategies.fills import FILLS

BASE_ROWS: Final = 64
"""Rows that are filled; larger tensors repeat them, each time rotated by two, because fills are made on the CPU."""

_DEQUANTIZE: Final = paths.BY_NAME["dequantize_4bit"]
_MATMUL: Final = paths.BY_NAME["matmul_4bit"]
_GEMV: Final = paths.BY_NAME["gemv_4bit"]
_LINEAR4BIT: Final = paths.BY_NAME["linear4bit"]


class DispatchError(RuntimeError):
    """The kernels that were launched are not those that the dispatch rules name."""


def measure(library: Library, progress: Callable[[Tallies, int, int], None], stride: int = 1) -> Tallies:
    """Judge every product of the grid.

    Args:
        library: the bitsandbytes that is loaded, and its device.
        progress: called after each setting with the tallies, the settings done and their number.
        stride: only every so many-th setting is measured.

    Raises:
        DispatchError: a launched kernel is not the one that was expected, so that a row would be filed wrongly.
    """
    tallies = Tallies()
    plan = list(settings(library.device, library.documented_blocksizes))[::stride]
    seen: set[tuple[object, ...]] = set()
    for done, setting in enumerate(plan, 1):
        _measure_setting(setting, library, tallies, seen, bias_first=done % 2 == 0)
        progress(tallies, done, len(plan))
    return tallies


def _measure_setting(setting: Setting, library: Library, tallies: Tallies, seen: set[tuple[object, ...]], *, bias_first: bool) -> None:
    prepared: Prepared | None = None
    for number, rows in enumerate(setting.rows):
        case = setting.with_rows(rows, bias=(number % 2 == 0) == bias_first)
        inputs = _inputs(case, library.device)
        if prepared is None:
            prepared = prepare(case, inputs, library)
            _count_weight(dataclasses.replace(prepared, case=case), inputs, tallies)
        prepared = dataclasses.replace(prepared, case=case, activation=inputs.activation, bias=inputs.bias)
        for path in _paths(case, library):
            given = _as_accepted(path, prepared)
            _witness(path, given, seen)
            _count(path, given, inputs, tallies)


def _as_accepted(path: Path, prepared: Prepared) -> Prepared:
    """Before 0.50 `matmul_4bit` takes the transposed view (`fuzz.engine.contract.CONVENTIONS`)."""
    if path is not _MATMUL or prepared.library.fused:
        return prepared
    return dataclasses.replace(prepared, case=dataclasses.replace(prepared.case, packed=PackedView.TRANSPOSED))


def _paths(case: Case, library: Library) -> list[Path]:
    chosen = [_MATMUL]
    if library.device == "cuda" and case.activation.rows == 1:
        chosen.append(_GEMV)
    if library.cpu_repack:
        chosen.append(_LINEAR4BIT)
    return chosen


def _witness(path: Path, prepared: Prepared, seen: set[tuple[object, ...]]) -> None:
    """Ask the profiler once for every shape and dtype whether the kernel is the expected one."""
    case, library = prepared.case, prepared.library
    key = (path.name, case.weight.out_features, case.weight.in_features, case.activation.rows, case.activation_dtype)
    if library.device != "cuda" or key in seen:
        return
    seen.add(key)
    names = launched(lambda: path.run(prepared))
    found, named = arms_of(names), set(path.arms(case, library))
    if names and found != named:
        raise DispatchError(f"{key}: expected {sorted(arm.value for arm in named)}, but these kernels ran: {', '.join(names)}")


def _count_weight(prepared: Prepared, inputs: Inputs, tallies: Tallies) -> None:
    result = _DEQUANTIZE.run(prepared)
    references = References(inputs, prepared)
    tally = tallies.of(Arm.DEQUANTIZE, result.dtype)
    tally.outputs += result.numel()
    tally.outside_bound += _outside_bound(_DEQUANTIZE, prepared, references, result)
    different = int((~_same(result, references.weight(result.dtype))).sum())
    counts = tally.by_nested[Nested.SEPARATE]
    counts.different += different
    counts.outside_interval += different


def _count(path: Path, prepared: Prepared, inputs: Inputs, tallies: Tallies) -> None:
    (arm,) = path.arms(prepared.case, prepared.library)
    result = path.run(prepared).detach()
    references = References(inputs, prepared)
    tally = tallies.of(arm, result.dtype)
    tally.outputs += result.numel()
    tally.outside_bound += _outside_bound(path, prepared, references, result)
    case = prepared.case
    tallies.cover(arm, result.dtype, case.quantization.quant_type.value, str(case.quantization.blocksize), case.weight.fill.value)
    if arm is Arm.CPU_BF16:  # its order and its instructions differ from CPU to CPU: no emulation
        return
    operands = references.operands(path)
    output = result.reshape(len(operands.activation), -1)
    for nested in (Nested.SEPARATE,) if arm in (Arm.LINEAR, Arm.GEMV) else tuple(Nested):
        arithmetic = Arithmetic(arm=arm, nested=nested, core=_core(prepared.library), late_bias=not prepared.library.fused)
        counts = tally.by_nested[nested]
        counts.outside_interval += int((~expected(arithmetic, operands).holds(output)).sum())
        if arm is Arm.LINEAR:
            counts.different += int((~_same(result, references.linear(path))).sum())
        else:
            counts.different += int((~expected(dataclasses.replace(arithmetic, ordered=True), operands).holds(output)).sum())


def _outside_bound(path: Path, prepared: Prepared, references: References, result: torch.Tensor) -> int:
    product = references.product(path)
    model = error_model_of(path, prepared.case, prepared.library, product)
    inner = narrowest(path.arms(prepared.case, prepared.library), result.dtype)
    return int(definitely_wrong(result, interval(product, model, result.dtype, inner)).sum())


def _core(library: Library) -> TensorCore:
    return VOLTA if library.gpu is None else BY_MAJOR.get(library.gpu.major, VOLTA)


def _same(result: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return (result == other) | (result.isnan() & other.isnan())


def _inputs(case: Case, device: str) -> Inputs:
    dtype = FLOAT_DTYPES[case.activation_dtype]
    weight, activation, terms = case.weight, case.activation, case.weight.in_features
    bias = _tall(Fill.INTEGERS, (1, weight.out_features), case.seed_of(Stream.BIAS), device, dtype)[0] if case.bias else None
    return Inputs(
        _tall(weight.fill, (weight.out_features, terms), case.seed_of(Stream.WEIGHT), device, FLOAT_DTYPES[weight.dtype]),
        _tall(activation.fill, (activation.rows, terms), case.seed_of(Stream.ACTIVATION), device, dtype),
        bias,
    )


@functools.lru_cache(maxsize=16)
def _tall(fill: Fill, shape: tuple[int, int], seed: int, device: str, dtype: torch.dtype) -> torch.Tensor:
    rows, columns = shape
    base = FILLS[fill]((min(rows, BASE_ROWS), columns), seed).to(device)
    return torch.cat([torch.roll(base, 2 * number, dims=1) for number in range(-(-rows // BASE_ROWS))])[:rows].to(dtype)
