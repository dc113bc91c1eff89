"""Measures which emulations this device's kernels agree with, and writes the table that the oracle then relies on.

Exit status: 0 written, 1 an output lies beyond the a-priori bound, so that nothing was written, 2 could not run.
"""

from __future__ import annotations

import argparse
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from fuzz.commands.console import positive, say
from fuzz.oracle.calibration import TABLES, Calibration, Row, write

if TYPE_CHECKING:
    from fuzz.calibrate.tally import Tallies


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command line of `calibrate`."""
    parser = commands.add_parser(
        "calibrate",
        help="measure which emulations this device's kernels agree with",
        description="Measure which emulations this device's kernels agree with. Exit status: 0 written, 1 wrong outputs, 2 could not run.",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto")
    parser.add_argument(
        "--stride", type=positive, default=1, metavar="N", help="measure every N-th setting of the grid only: quicker, fewer outputs"
    )
    parser.add_argument("--into", type=Path, default=TABLES, metavar="DIR", help="folder of the table (default: the committed ones)")
    parser.set_defaults(run=lambda options: calibrate(options.device, options.stride, options.into))


def calibrate(device: str, stride: int, into: Path) -> int:
    """Measure, print and write the table of this device; returns the exit status."""
    import fuzz.engine.environment  # noqa: F401, PLC0415 - sets the environment before torch is imported
    from fuzz.calibrate.measure import DispatchError, measure  # noqa: PLC0415
    from fuzz.engine import devices, library, runner, switches  # noqa: PLC0415

    try:
        chosen = devices.choose(device)
        found = library.inspect_library(chosen.name)
        switches.set_and_check()
        runner.quiet()
        tallies = measure(found, _Progress().update, stride)
    except (devices.DeviceError, DispatchError, ImportError, ValueError) as error:
        say(f"could not calibrate: {error}", error=True)
        return 2
    system = {**library.system_info(found), "date": dt.datetime.now(dt.UTC).date().isoformat(), "stride": str(stride)}
    table = Calibration(
        device=found.device_name, capability=system.get("compute_capability", ""), release=found.version, system=system, rows=tallies.rows
    )
    _print_table(table, tallies)
    _print_coverage(tallies)
    _print_differences(table, into)
    if any(row.outside_bound for row in table.rows):
        say("not written: these outputs are beyond what any rounding explains", error=True)
        return 1
    say(f"written to {write(table, into)}")
    return 0


class _Progress:
    """A line each tenth of the grid."""

    def __init__(self) -> None:
        self._tenth = 0

    def update(self, tallies: Tallies, done: int, of: int) -> None:
        if done * 10 // of > self._tenth:
            self._tenth = done * 10 // of
            say(f"{done} of {of} settings, {tallies.outputs:,} outputs")


def _print_table(table: Calibration, tallies: Tallies) -> None:
    say(f"{table.device}, bitsandbytes {table.release}: {tallies.outputs:,} outputs of products judged")
    say(f"{'arm':<12} {'dtype':<9} {'outputs':>14} {'beyond bound':>13} {'outside':>9} {'other bits':>11}  scales            judged by")
    for row in table.rows:
        nested = ", ".join(item.value for item in row.nested)
        judged = "bits" if row.ordered else "interval" if row.usable else "bound"
        numbers = f"{row.outputs:>14,} {row.outside_bound:>13,} {row.outside_interval:>9,} {row.different:>11,}"
        say(f"{row.arm.value:<12} {row.dtype:<9} {numbers}  {nested:<17} {judged}")


def _print_coverage(tallies: Tallies) -> None:
    """How many quant types, blocksizes and fills of the weight each kernel was measured with."""
    for (arm, dtype), values in sorted(tallies.covered.items(), key=lambda item: (item[0][0].value, item[0][1])):
        quant_types, blocksizes, fills = (len(set(column)) for column in zip(*values, strict=True))
        say(f"covered: {arm.value} {dtype}: {quant_types} quant types, {blocksizes} blocksizes, {fills} fills of the weight")


def _print_differences(table: Calibration, into: Path) -> None:
    """What is otherwise on the devices whose tables are there, for the same release."""
    for path in sorted(into.glob(f"*_{table.release}.json")):
        other = Calibration.from_json_text(path.read_text(encoding="utf-8"))
        lines = [_difference(row, theirs) for row in table.rows if (theirs := _row_like(row, other)) is not None]
        different = [line for line in lines if line]
        say(f"compared with {other.device}: {'the same' if not different else ''}".rstrip())
        for line in different:
            say(f"  {line}")


def _row_like(row: Row, other: Calibration) -> Row | None:
    return next((theirs for theirs in other.rows if (theirs.arm, theirs.dtype) == (row.arm, row.dtype)), None)


def _difference(row: Row, other: Row) -> str:
    mine, theirs = ((item.usable, item.ordered, item.nested) for item in (row, other))
    if mine == theirs:
        return ""
    names = ", ".join(nested.value for nested in row.nested)
    return f"{row.arm.value} {row.dtype}: interval {row.usable}, bits {row.ordered}, scales {names}; there {other.usable}, {other.ordered}"
