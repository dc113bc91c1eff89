"""What a run has to find for each fault that `tests/standin/bitsandbytes/planted.py` can switch on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strategies.case import Activation, Case, FloatDType, Quantization, QuantType, Weight


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A fault and the finding that it must become.

    Attributes:
        name: as in PLANTED_FAULTS.
        path, symptom, how: what fails and how, as in `finding.json`.
        minima: the Cases that fail and cannot be made duller or smaller in one step. There are several where the fault
            has several independent causes.
    """

    name: str
    path: str
    symptom: str
    how: str = ""
    minima: tuple[Case, ...]

    @property
    def kind(self) -> tuple[str, str, str]:
        """What tells this fault's finding from the others."""
        return (self.path, self.symptom, self.how)


PLANTED: Final = (
    Planted(
        name="exit",
        path="gemm_4bit_op",
        symptom="process died",
        how="exit status 1",
        minima=(Case(weight=Weight(out_features=33)),),
    ),
    Planted(
        name="sigkill",
        path="gemv_4bit",
        symptom="process died",
        how="SIGKILL",
        minima=(Case(quantization=Quantization(quant_type=QuantType.FP4, blocksize=128)),),
    ),
    Planted(name="hang", path="gemv_4bit_out", symptom="hang", minima=(Case(weight=Weight(in_features=96)),)),
    Planted(name="exception", path="linear4bit", symptom="unexpected exception", how="RuntimeError", minima=(Case(bias=True),)),
    Planted(name="shape", path="matmul_4bit", symptom="wrong shape", minima=(Case(activation=Activation(dtype=FloatDType.BFLOAT16)),)),
    Planted(
        name="value",
        path="dequantize_4bit",
        symptom="wrong value",
        minima=(Case(quantization=Quantization(compress_statistics=True)),),
    ),
)

NAMES: Final = tuple(planted.name for planted in PLANTED)
