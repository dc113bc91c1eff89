"""Which of many Cases to look at for the kernels that they launch: one for each thing that decides on a kernel.

A profiler costs a good part of a second for each Case. So of the Cases that a run has drawn, those are kept whose kernels
may be others than those of the Cases before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fuzz.engine.verdict import CaseResult
from strategies.case import Case, Mode

Decided = tuple[object, ...]

EACH: Final = 8
"""Numbers of rows for each of which there may be a kernel; beyond it they count by powers of two."""

CHUNK: Final = 128
"""Terms are loaded by so many where they are a multiple of it (`launch_gemm_4bit_sm80_m16n8k16` in csrc/gemm_4bit_sm80.cu of 0.50)."""


class Witnesses:
    """Keeps Cases that between them run every kernel that a run may have run."""

    def __init__(self) -> None:
        self._seen: set[Decided] = set()
        self._cases: list[Case] = []

    def meet(self, case: Case, result: CaseResult) -> None:
        """Keep a Case if it may launch a kernel that those before it did not.

        Only calls that are right count: a failure may end the process, and the other modes launch the kernels of calls.
        """
        if result.failures or case.execution.mode is not Mode.CALL:
            return
        new = set(_decided(case, result)) - self._seen
        if new:
            self._seen |= new
            self._cases.append(case)

    def take(self) -> list[Case]:
        """The Cases that were kept since this was called last."""
        taken, self._cases = self._cases, []
        return taken


def _decided(case: Case, result: CaseResult) -> Iterator[Decided]:
    """What rules of dispatch look at, for everything that the Case has run."""
    weight, asked = case.weight, case.quantization
    yield "quantize", weight.dtype, asked.quant_type, asked.blocksize, asked.compress_statistics
    for arm in {arm for verdict in result.verdicts for arm in verdict.arms}:
        yield arm, case.activation_dtype, *_sizes(case, arm)


def _sizes(case: Case, arm: str) -> Decided:
    """The sizes by which one kernel of an arm is chosen rather than another."""
    rows, weight = case.activation.rows, case.weight
    if arm == "simt":
        return (rows if rows <= EACH else rows.bit_length() + EACH,)
    if arm == "tensor_core":
        return (rows.bit_length(), weight.out_features.bit_length(), weight.in_features % CHUNK == 0)
    return (case.quantization.quant_type,)
