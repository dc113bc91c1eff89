"""Two releases of bitsandbytes on an H200 as planted defects: what runs there have shown, with the conditions that they have by the source.

Which paths a Case takes and which kernels they run is the engine's own rule, so that what hides what is as it is there.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from fuzz.engine import runner
from fuzz.engine.contract import rule
from fuzz.engine.dispatch import matmul_arms
from fuzz.engine.library import Library
from fuzz.engine.verdict import ENDING, OVERFLOWED, TOO_SHORT, UNDERFLOWED, FailureKey, PathVerdict, Ruling, Symptom
from fuzz.oracle.arms import Arm
from fuzz.triage.verify import QUANTIZE, QUANTIZE_SURFACE
from strategies.case import Case, CudaStream, Fill, FloatDType, Layout, Memory, Mode, StorageDType
from strategies.misuse import Misuse
from tests.fuzz.engine.helpers import ALL_BLOCKSIZES, H200, library
from tests.fuzz.triage.planted import Plant, PlantedExecutor

FUSED_PATHS: Final = ("matmul_4bit", "gemm_4bit_op", "linear4bit")
GEMV_PATHS: Final = ("gemv_4bit", "gemv_4bit_op", "gemv_4bit_out")
LAUNCHED: Final = "CUDA error: misaligned address"
REACHED: Final = "CUDA error: an illegal memory access was encountered"
SPREAD: Final = frozenset({Memory.STRIDED, Memory.TRANSPOSED, Memory.EXPANDED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruled(Library):
    """Chooses fused kernels as 0.50.2 does on an H200 for weights below 4 Mi elements: `_gemm_4bit_use_custom_cuda`."""

    def chooses_fused(self, dtype: torch.dtype, rows: int, outputs: int, terms: int) -> bool | None:
        """By dtype, and by how many multiprocessors there is work for."""
        if dtype is torch.float32:
            return rows < 8
        waves = math.ceil(outputs / 64) / H200.multiprocessors
        if 2 * terms < outputs:
            return rows <= (512 if waves < 1 / 3 else 320)
        return rows <= (32 if waves <= 1 / 4 else 16 if waves <= 1 / 2 else 4)


FUSED: Final = Ruled(
    version="0.50.2", device="cuda", fused=True, out_variant=True, cpu_repack=False, documented_blocksizes=ALL_BLOCKSIZES, gpu=H200
)
"""0.50.2"""
LEGACY: Final = library(version="0.48.0", device="cuda", fused=False, out_variant=True, documented_blocksizes=ALL_BLOCKSIZES[1:], gpu=H200)

Holds = Callable[[Case], bool]


def is_fused(case: Case) -> bool:
    """Whether a fused kernel multiplies: a few rows of whole blocks."""
    return Arm.LINEAR not in matmul_arms(case, FUSED)


def packed_elements(case: Case) -> float:
    """Elements of the packed weight; a fraction is cut off."""
    return math.ceil(case.weight.elements / 2) / case.quantization.storage.itemsize


def blocks(case: Case) -> int:
    """Blocks of the weight."""
    return math.ceil(case.weight.elements / case.quantization.blocksize)


def by_tensor_cores(case: Case) -> bool:
    """Whether the tensor-core kernel multiplies."""
    return Arm.TENSOR_CORE in matmul_arms(case, FUSED)


def overflows(case: Case) -> bool:
    """Large factors, whose products are rounded to float16."""
    large = case.activation.fill is Fill.HUGE and case.weight.fill in {Fill.NORMAL, Fill.HUGE}
    return case.activation_dtype is FloatDType.FLOAT16 and large and case.seed % 3 == 1


def underflows(case: Case) -> bool:
    """Small factors."""
    return case.activation_dtype is FloatDType.FLOAT16 and case.weight.fill is case.activation.fill is Fill.TINY


def of(*misuses: Misuse) -> Holds:
    """A wrong call of one of these kinds."""
    return lambda case: case.execution.misuse in misuses


def both(*conditions: Holds) -> Holds:
    """All of them at once."""
    return lambda case: all(condition(case) for condition in conditions)


def is_laid_out(part: str, *memories: Memory) -> Holds:
    """One tensor in memory like this."""
    return lambda case: getattr(case.memory, part) in memories


def _strides_matter(case: Case) -> bool:
    return case.weight.in_features > 1


def _rounds_its_table(case: Case) -> bool:
    return case.execution.default_dtype is not FloatDType.FLOAT32


def _stores_wider(case: Case) -> bool:
    return case.quantization.storage is not StorageDType.UINT8


def _nested(case: Case) -> bool:
    return case.quantization.compress_statistics


def _leaves_blocks_of_zeros(case: Case) -> bool:
    zeros = case.weight.fill in {Fill.ONE_HOT, Fill.INTEGERS, Fill.ZERO_BLOCKS}
    return _nested(case) and zeros and case.weight.elements > case.quantization.blocksize


def _transposes(case: Case) -> bool:
    return packed_elements(case) == 1 and case.weight.out_features != case.weight.in_features


def _is_in_out(case: Case) -> bool:
    return case.weight.layout is Layout.IN_OUT


def _is_not_square(case: Case) -> bool:
    return case.weight.out_features != case.weight.in_features


def _is_wide(case: Case) -> bool:
    """Whether what lies beyond the packed weight may be on a page of nobody's."""
    return case.weight.elements > 50_000


def _splits_blocks(case: Case) -> bool:
    unlike = case.weight.fill in {Fill.NORMAL, Fill.HEAVY_TAILED, Fill.STEPPED, Fill.HUGE, Fill.TINY, Fill.CANCELLING}
    return case.weight.in_features % 32 != 0 and case.weight.out_features >= 2 and blocks(case) >= 2 and unlike


def _is_one_row(case: Case) -> bool:
    return case.activation.rank == 1


def _outs(*misuses: Misuse) -> Holds:
    def taken(case: Case) -> bool:
        return case.execution.misuse in misuses or (case.execution.misuse is Misuse.LONG_OUT and case.weight.out_features == 1)

    return taken


_WRONG_OUTS: Final = _outs(Misuse.DEEP_OUT, Misuse.OTHER_OUT, Misuse.META_OUT, Misuse.CPU_OUT)
_LOST, _MISSING, _RAISED = Symptom.CONTEXT_LOST, Symptom.MISSING_ERROR, Symptom.UNEXPECTED_EXCEPTION

_NOT_REFUSED: Final = frozenset({_MISSING, _LOST, Symptom.PROCESS_DIED, Symptom.OUT_OF_BOUNDS})

_OF_QUANTIZE: Final = (
    Plant("dies of nothing", lambda case: not case.weight.elements, (QUANTIZE,), Symptom.PROCESS_DIED, "exit status 1"),
    Plant("too short", lambda case: packed_elements(case) < 1, (QUANTIZE,), _LOST, REACHED),
    Plant("too short", lambda case: not packed_elements(case).is_integer(), (QUANTIZE,), Symptom.WRONG_SHAPE, TOO_SHORT),
    Plant("code table", _rounds_its_table, (QUANTIZE,), how="code table"),
    Plant("default stream", lambda case: case.execution.stream is CudaStream.SIDE, (QUANTIZE,)),
    Plant("blocks of zeros", _leaves_blocks_of_zeros, (QUANTIZE,), how="blocks of zeros"),
)
_OF_ANY_MATMUL: Final = (
    Plant("packed read beyond by matmul", of(Misuse.SHORT_PACKED, Misuse.FOREIGN_STATE), FUSED_PATHS, _MISSING),
    Plant("scales read beyond by matmul", of(Misuse.SHORT_ABSMAX), FUSED_PATHS, _MISSING),
    Plant("transposed in matmul_4bit", both(_transposes, _is_in_out), ("matmul_4bit",), _RAISED, "RuntimeError"),
    Plant("no gradient of the bias", _is_one_row, ("matmul_4bit_bias_gradient",), _RAISED, "RuntimeError"),
    Plant("cast", lambda case: _stores_wider(case) and case.execution.mode is Mode.KEPT, ("linear4bit_cast",)),
    Plant("reloaded", both(_rounds_its_table, _nested), ("linear4bit_reloaded",)),
    Plant("any out of quantize_4bit", _WRONG_OUTS, ("quantize_4bit_out",), _MISSING),
)
_OF_DEQUANTIZE: Final = (
    Plant("transposed", _transposes, ("dequantize_4bit",), Symptom.WRONG_SHAPE),
    Plant("packed read beyond", of(Misuse.SHORT_PACKED, Misuse.FOREIGN_STATE), ("dequantize_4bit",), _MISSING),
    Plant("scales read beyond", of(Misuse.SHORT_ABSMAX), ("dequantize_4bit",), _MISSING),
    Plant("half scales", of(Misuse.HALF_ABSMAX), ("dequantize_4bit",)),
    Plant("strided scales", both(is_laid_out("absmax", Memory.STRIDED), lambda case: blocks(case) > 1), ("dequantize_4bit",)),
)
_OF_FUSED: Final = (
    Plant("statistics twice", _nested, ("quantize_4bit_out",), _RAISED, "ValueError"),
    Plant("any out of matmul_4bit", _WRONG_OUTS, ("matmul_4bit_out",), _MISSING),
    Plant("strided out", both(is_laid_out("out", Memory.STRIDED, Memory.TRANSPOSED), _strides_matter), ("dequantize_4bit_out",)),
    Plant("expanded out", of(Misuse.EXPANDED_OUT), ("dequantize_4bit_out",), Symptom.OUT_OF_BOUNDS),
    Plant("out on the CPU", of(Misuse.CPU_OUT), ("dequantize_4bit_out",), _LOST, REACHED),
    Plant("activation on the CPU", both(of(Misuse.CPU_ACTIVATION), lambda case: not is_fused(case)), FUSED_PATHS, _LOST, REACHED),
    Plant("bias of another length", both(of(Misuse.SHORT_BIAS, Misuse.LONG_BIAS), is_fused), FUSED_PATHS, _MISSING),
    Plant("activation offset", both(is_laid_out("activation", Memory.OFFSET), is_fused), FUSED_PATHS, _LOST, LAUNCHED),
    Plant("packed offset", both(is_laid_out("packed", Memory.OFFSET), is_fused), FUSED_PATHS, _LOST, LAUNCHED),
    Plant("odd outputs", both(by_tensor_cores, lambda case: case.weight.out_features % 2 == 1), FUSED_PATHS, _LOST, LAUNCHED),
    Plant("packed strided", both(is_laid_out("packed", Memory.STRIDED), is_fused), FUSED_PATHS),
    Plant("scales strided", both(is_laid_out("absmax", Memory.STRIDED), is_fused, lambda case: blocks(case) > 1), FUSED_PATHS),
    Plant(
        "bias strided",
        both(is_laid_out("bias", Memory.STRIDED, Memory.EXPANDED), is_fused, lambda case: case.bias and case.weight.out_features > 1),
        FUSED_PATHS,
    ),
    Plant(
        "no rows", both(lambda case: not case.activation.rows, is_fused), ("gemm_4bit_op",), _RAISED, "CUDA error left for the next call"
    ),
    Plant("range", both(overflows, is_fused), FUSED_PATHS, Symptom.RANGE_DIVERGENCE, OVERFLOWED),
    Plant("range", both(underflows, is_fused), FUSED_PATHS, Symptom.RANGE_DIVERGENCE, UNDERFLOWED),
)
_OF_GEMV: Final = (
    Plant("packed read beyond by gemv", of(Misuse.SHORT_PACKED, Misuse.FOREIGN_STATE), GEMV_PATHS, _MISSING),
    Plant("scales read beyond by gemv", of(Misuse.SHORT_ABSMAX), GEMV_PATHS, _MISSING),
    Plant("half scales in gemv", of(Misuse.HALF_ABSMAX), GEMV_PATHS),
    Plant("range of gemv", overflows, GEMV_PATHS, Symptom.RANGE_DIVERGENCE, OVERFLOWED),
    Plant("range of gemv", underflows, GEMV_PATHS, Symptom.RANGE_DIVERGENCE, UNDERFLOWED),
    Plant("in_out far beyond", both(_is_in_out, _is_wide), GEMV_PATHS, _LOST, REACHED),
    Plant("in_out", _is_in_out, GEMV_PATHS, _MISSING),
    Plant("length of the activation", of(Misuse.LONG_ACTIVATION, Misuse.SHORT_ACTIVATION), GEMV_PATHS, _MISSING),
    Plant("activation offset in gemv", both(is_laid_out("activation", Memory.OFFSET), _strides_matter), GEMV_PATHS, _LOST, LAUNCHED),
    Plant("packed offset in gemv", both(is_laid_out("packed", Memory.OFFSET), _strides_matter), GEMV_PATHS, _LOST, LAUNCHED),
    Plant("out of gemv on the CPU", of(Misuse.CPU_OUT), ("gemv_4bit_out",), _LOST, REACHED),
    Plant("odd", lambda case: case.weight.in_features % 2 == 1, GEMV_PATHS),
    Plant("two blocks at once", _splits_blocks, GEMV_PATHS),
    Plant("activation strided", both(lambda case: case.memory.activation in SPREAD, _strides_matter), GEMV_PATHS),
    Plant("packed strided in gemv", both(is_laid_out("packed", Memory.STRIDED), _strides_matter), GEMV_PATHS),
    Plant("scales strided in gemv", both(is_laid_out("absmax", Memory.STRIDED), lambda case: blocks(case) > 1), GEMV_PATHS),
    Plant("expanded out of gemv", of(Misuse.EXPANDED_OUT), ("gemv_4bit_out",), Symptom.OUT_OF_BOUNDS),
    Plant("strided out of gemv", is_laid_out("out", Memory.STRIDED, Memory.TRANSPOSED), ("gemv_4bit_out",)),
)


def by_gemv(case: Case) -> bool:
    """Whether `matmul_4bit` calls gemv before 0.50: one row of whole blocks, without a gradient."""
    return Arm.GEMV in matmul_arms(case, LEGACY)


def by_torch(case: Case) -> bool:
    """Whether it leaves the product to torch."""
    return not by_gemv(case)


def wrong_first(how: str) -> Holds:
    """A weight of which the strides are ignored, where these numbers are the first that are wrong."""

    def holds(case: Case) -> bool:
        if case.memory.weight not in SPREAD or case.weight.elements <= 2:
            return False
        if case.weight.fill is Fill.ONES:
            return how == "codes"
        return how == ("offset" if _nested(case) else "scales")

    return holds


_OF_LEGACY: Final = (
    *(Plant("weight strided", wrong_first(how), (QUANTIZE,), how=how) for how in ("scales", "offset", "codes")),
    Plant("statistics twice", _nested, ("quantize_4bit_out",), _RAISED, "RuntimeError"),
    Plant("no out at all", lambda _: True, ("dequantize_4bit_out",), _RAISED, "RuntimeError"),
    Plant("packed strided in dequantize_4bit", is_laid_out("packed", Memory.STRIDED), ("dequantize_4bit",)),
    Plant("any out of matmul_4bit", both(_WRONG_OUTS, by_torch), ("matmul_4bit_out",), _MISSING),
    Plant("out on the CPU by gemv", both(of(Misuse.CPU_OUT), by_gemv), ("matmul_4bit_out",), _LOST, REACHED),
    Plant("out that is never written", by_torch, ("matmul_4bit_out",)),
    Plant("in_out by gemv", both(_is_in_out, by_gemv, _is_not_square), ("matmul_4bit",), Symptom.WRONG_SHAPE),
    Plant("float64 by gemv", both(of(Misuse.DOUBLE_ACTIVATION), by_gemv), FUSED_PATHS, _MISSING),
    Plant("integers by gemv", both(of(Misuse.INTEGER_ACTIVATION), by_gemv), FUSED_PATHS, _MISSING),
    Plant("activation offset", both(is_laid_out("activation", Memory.OFFSET), by_gemv), FUSED_PATHS, _LOST, LAUNCHED),
    Plant("packed offset", both(is_laid_out("packed", Memory.OFFSET), by_gemv), FUSED_PATHS, _LOST, LAUNCHED),
    Plant("activation strided in matmul_4bit", both(lambda case: case.memory.activation in SPREAD, by_gemv), FUSED_PATHS),
    Plant("packed strided in matmul_4bit", both(is_laid_out("packed", Memory.STRIDED), by_gemv), FUSED_PATHS),
)


@dataclass(frozen=True)
class Release:
    """A release as its defects. What is one defect has one name; the same mistake in two kernels is two."""

    library: Library
    defects: tuple[Plant, ...]

    def defects_of(self, case: Case, key: FailureKey) -> set[str]:
        """The names of the defects that fail so on a Case."""
        return {plant.name for plant in self.defects if key.path in plant.paths and plant.condition(case) and _fails_as(plant, key)}


RELEASES: Final = {
    "0.50.2": Release(FUSED, (*_OF_QUANTIZE, *_OF_DEQUANTIZE, *_OF_ANY_MATMUL, *_OF_FUSED, *_OF_GEMV)),
    "0.48.0": Release(LEGACY, (*_OF_QUANTIZE, *_OF_LEGACY, *_OF_DEQUANTIZE, *_OF_ANY_MATMUL, *_OF_GEMV)),
}


@dataclass
class EmulatedExecutor(PlantedExecutor):
    """Takes the paths that the engine takes on an H200."""

    library: Library = FUSED

    def _verdicts(self, case: Case, only: Sequence[str] | None) -> Iterator[PathVerdict]:
        verdict = self._of(case, QUANTIZE, QUANTIZE_SURFACE, ())
        yield verdict
        if verdict.symptom not in {None, Symptom.WRONG_VALUE}:
            return
        failed: dict[str, Symptom | None] = {}
        for path in runner._selected(case, self.library, only):
            if runner._explained(path, case, self.library, failed):
                failed[path.name] = None
                continue
            verdict = self._of(case, path.name, path.surface, tuple(arm.value for arm in path.arms(case, self.library)))
            if verdict.symptom is None and rule(case, path.surface, self.library).ruling is Ruling.INVALID:
                verdict = dataclasses.replace(verdict, got="ValueError: as it should be")
            yield verdict
            if verdict.symptom:
                failed[path.name] = verdict.symptom
            if verdict.symptom in ENDING:
                return

    def _of(self, case: Case, path: str, surface: str, arms: tuple[str, ...]) -> PathVerdict:
        verdict = PathVerdict(path=path, surface=surface, ruling=Ruling.VALID, source="a test", arms=arms)
        acting = [plant for plant in self.plants if path in plant.paths and plant.condition(case)]
        if rule(case, surface, self.library).ruling is Ruling.INVALID:
            acting = [plant for plant in acting if plant.symptom in _NOT_REFUSED]
        return dataclasses.replace(verdict, symptom=acting[0].symptom, how=acting[0].how) if acting else verdict


def _fails_as(plant: Plant, key: FailureKey) -> bool:
    verdict = PathVerdict(path=key.path, surface=key.surface, ruling=Ruling.VALID, source="a test", symptom=plant.symptom, how=plant.how)
    return FailureKey.of(verdict) == key
