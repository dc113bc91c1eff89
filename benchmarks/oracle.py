"""How often one planted fault in one row of a weight is seen, by this oracle and by the tolerances in use.

python -m benchmarks.oracle [--device cuda] [--repeats 60]    writes benchmarks/oracle.md

Every call multiplies 8 rows by a weight of 4096 terms, NF4, blocksize 64, normal data scaled so that outputs have variance
1 (the setting in which an absolute tolerance of 1e-2 says something), on the emulated kernels (which are
the H200's, bit for bit; see `fuzz/oracle/calibrations`). One output's row of the weight is faulty. A call is flagged if
one of its outputs is.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from fuzz.commands.console import positive
from fuzz.oracle.arms import Arm
from fuzz.oracle.bounds import Interval, error_model, interval
from fuzz.oracle.expected import Arithmetic, Expected, expected
from fuzz.oracle.operands import Nested, Operands, code_table
from fuzz.oracle.reference import DecodedWeight, multiply
from fuzz.oracle.tensor_core import HOPPER
from strategies.case import Fill, QuantType
from strategies.fills import FILLS

ROWS, OUTPUTS, TERMS, BLOCKSIZE = 8, 8, 4096, 64
TARGET: Final = Path(__file__).parent / "oracle.md"


@dataclass(frozen=True, slots=True)
class Weight:
    """Indices (OUTPUTS, TERMS) of codes, scales (OUTPUTS, blocks) and the code table (16,)."""

    index: torch.Tensor
    scale: torch.Tensor
    table: torch.Tensor


Plant = Callable[[Weight, torch.Tensor, int], tuple[Weight, torch.Tensor]]
"""Makes the first output's row of a weight, or the activation that it is multiplied by, faulty at a place."""


def _rescaled(factor: float) -> Plant:
    def plant(weight: Weight, x: torch.Tensor, place: int) -> tuple[Weight, torch.Tensor]:
        scale = weight.scale.clone()
        scale[0, place // BLOCKSIZE] *= factor
        return dataclasses.replace(weight, scale=scale), x

    return plant


def _neighbour(weight: Weight, x: torch.Tensor, place: int) -> tuple[Weight, torch.Tensor]:
    scale = weight.scale.clone()
    block = place // BLOCKSIZE
    scale[0, block] = scale[0, (block + 1) % scale.shape[1]]
    return dataclasses.replace(weight, scale=scale), x


def _off_by_one(weight: Weight, x: torch.Tensor, place: int) -> tuple[Weight, torch.Tensor]:  # noqa: ARG001 - one signature
    scale = weight.scale.clone()
    scale[0] = scale[0].roll(1)
    return dataclasses.replace(weight, scale=scale), x


def _swapped(weight: Weight, x: torch.Tensor, place: int) -> tuple[Weight, torch.Tensor]:
    index, first = weight.index.clone(), place // 2 * 2
    index[0, [first, first + 1]] = index[0, [first + 1, first]]
    return dataclasses.replace(weight, index=index), x


def _lowest_bit(weight: Weight, x: torch.Tensor, place: int) -> tuple[Weight, torch.Tensor]:
    index = weight.index.clone()
    index[0, place] ^= 1
    return dataclasses.replace(weight, index=index), x


def _dropped(count: int) -> Plant:
    def plant(weight: Weight, x: torch.Tensor, place: int) -> tuple[Weight, torch.Tensor]:
        first = place // count * count
        changed = x.clone()
        changed[:, first : first + count] = 0
        return weight, changed

    return plant


FAULTS: Final[dict[str, Plant]] = {
    "one block takes its neighbour's scale": _neighbour,
    "one block's scale + 10 %": _rescaled(1.10),
    "one block's scale + 2 %": _rescaled(1.02),
    "scale index off by one": _off_by_one,
    "nibbles of one byte swapped": _swapped,
    "lowest bit of one nibble": _lowest_bit,
    "one term dropped": _dropped(1),
    "32 terms dropped": _dropped(32),
}


@dataclass(frozen=True, slots=True)
class Call:
    """A product: what was meant, what came out, how it is computed, and what each oracle expects (the same for all faults)."""

    arithmetic: Arithmetic
    weight: Weight
    x: torch.Tensor
    out: torch.Tensor
    bits: Expected
    interval: Expected
    bound: Interval
    reference: torch.Tensor


def _operands(weight: Weight, x: torch.Tensor) -> Operands:
    scale = weight.scale.repeat_interleave(BLOCKSIZE, dim=1)
    scales = {Nested.SEPARATE: scale, Nested.FUSED: scale}
    return Operands(activation=x, code=weight.table[weight.index], scales=scales, bias=None, stored=x.dtype)


def _product(arithmetic: Arithmetic, weight: Weight, x: torch.Tensor) -> torch.Tensor:
    return expected(dataclasses.replace(arithmetic, ordered=True), _operands(weight, x)).low


def _bound(arm: Arm, weight: Weight, x: torch.Tensor) -> Interval:
    scale = weight.scale.double().repeat_interleave(BLOCKSIZE, dim=1)
    product = multiply(x, DecodedWeight(weight.table[weight.index].double(), scale, torch.zeros_like(scale)), None)
    return interval(product, error_model((arm,), x.dtype, TERMS, x.dtype, bias=False), x.dtype)


def _reference(weight: Weight, x: torch.Tensor) -> torch.Tensor:
    """What a test would compare with: the float64 product of the dequantized weight, rounded."""
    operands = _operands(weight, x)
    return (x.double() @ (operands.code * operands.scales[Nested.SEPARATE]).double().t()).to(x.dtype)


def _assert_close(call: Call) -> bool:
    try:
        torch.testing.assert_close(call.out, call.reference)
    except AssertionError:
        return True
    return False


ORACLES: Final[dict[str, Callable[[Call], bool]]] = {
    "bits": lambda call: not bool(call.bits.holds(call.out).all()),
    "interval": lambda call: not bool(call.interval.holds(call.out).all()),
    "a-priori bound": lambda call: not bool(((call.out >= call.bound.low) & (call.out <= call.bound.high)).all()),
    "assert_close": _assert_close,
    "allclose(1e-2, 1e-2)": lambda call: not torch.allclose(call.out, call.reference, rtol=1e-2, atol=1e-2),
}


def _calls(arithmetic: Arithmetic, dtype: torch.dtype, device: str, repeats: int) -> Iterator[tuple[str, Call]]:
    """For every repeat a right call, named "", and one with each fault, at a random place."""
    for repeat in range(repeats):
        generator = torch.Generator().manual_seed(repeat)
        weight = _quantized(FILLS[Fill.NORMAL]((OUTPUTS, TERMS), 2 * repeat).to(device))
        x = (FILLS[Fill.NORMAL]((ROWS, TERMS), 2 * repeat + 1) / TERMS**0.5).to(device).to(dtype)
        bits = expected(dataclasses.replace(arithmetic, ordered=True), _operands(weight, x))
        within = expected(arithmetic, _operands(weight, x))
        right = Call(arithmetic, weight, x, bits.low, bits, within, _bound(arithmetic.arm, weight, x), _reference(weight, x))
        yield "", right
        for name, plant in FAULTS.items():
            faulty, fed = plant(weight, x, int(torch.randint(TERMS, (), generator=generator)))
            # Only the first output is computed with the fault.
            first = dataclasses.replace(faulty, index=faulty.index[:1], scale=faulty.scale[:1])
            out = right.out.clone()
            out[:, :1] = _product(arithmetic, first, fed)
            yield name, dataclasses.replace(right, out=out)


def _quantized(values: torch.Tensor) -> Weight:
    table = code_table(QuantType.NF4, values.device)
    blocks = values.reshape(OUTPUTS, -1, BLOCKSIZE)
    scale = blocks.abs().amax(-1)
    index = (blocks[..., None] / scale[..., None, None] - table.double()).abs().argmin(-1).reshape(OUTPUTS, TERMS)
    return Weight(index, scale.float(), table)


KERNELS: Final = tuple(
    (arm, dtype)
    for arm in (Arm.SIMT, Arm.TENSOR_CORE)
    for dtype in (torch.bfloat16, torch.float16, torch.float32)
    if arm is Arm.SIMT or dtype is not torch.float32
)


def measure(device: str, repeats: int) -> dict[tuple[Arm, torch.dtype], dict[str, Counter[str]]]:
    """Flagged calls of `repeats`, by kernel and dtype, fault ("" for none) and oracle."""
    flagged: dict[tuple[Arm, torch.dtype], dict[str, Counter[str]]] = {}
    for arm, dtype in KERNELS:
        rows = flagged[arm, dtype] = {name: Counter() for name in ("", *FAULTS)}
        for name, call in _calls(Arithmetic(arm=arm, core=HOPPER), dtype, device, repeats):
            rows[name].update(oracle for oracle, flags in ORACLES.items() if flags(call))
    return flagged


def table(flagged: dict[tuple[Arm, torch.dtype], dict[str, Counter[str]]], repeats: int, where: str) -> str:
    """The results as Markdown: one table for each kernel and dtype, percentages of calls."""
    lines = ["# Sensitivity of the oracle", "", (__doc__ or "").split("\n\n", 2)[2].strip().replace("\n", " "), ""]
    lines += [f"Percentage of {repeats} calls that are flagged; torch {torch.__version__}, {where}, {dt.datetime.now(dt.UTC).date()}."]
    lines += ["The first row is the rate of false alarms: calls without a fault.", ""]
    for (arm, dtype), rows in flagged.items():
        lines += [
            f"## {arm.value}, {str(dtype).removeprefix('torch.')}",
            "",
            f"| fault | {' | '.join(ORACLES)} |",
            "| --- |" + " --: |" * len(ORACLES),
        ]
        for name, counts in rows.items():
            cells = " | ".join(f"{100 * counts[oracle] / repeats:.0f}" for oracle in ORACLES)
            lines.append(f"| {name or '*none*'} | {cells} |")
        total = Counter[str]()
        for name in FAULTS:
            total += rows[name]
        cells = " | ".join(f"**{100 * total[oracle] / repeats / len(FAULTS):.0f}**" for oracle in ORACLES)
        lines += [f"| **all faults** | {cells} |", ""]
    return "\n".join(lines)


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.oracle", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--repeats", type=positive, default=60)
    parser.add_argument("--into", type=Path, default=TARGET, metavar="FILE")
    options = parser.parse_args()
    where = torch.cuda.get_device_name(0) if options.device == "cuda" else "CPU"
    options.into.write_text(table(measure(options.device, options.repeats), options.repeats, where), encoding="utf-8")


if __name__ == "__main__":
    main()
