"""What was measured on a device: which emulations its kernels agree with, and over how many outputs.

`python -m fuzz calibrate` writes these tables; those of known devices are committed in `calibrations/`. On a device
without a table nothing is assumed about its arithmetic, and only the a-priori bounds of `bounds` judge.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch

from fuzz.oracle.arms import Arm
from fuzz.oracle.expected import Arithmetic
from fuzz.oracle.operands import Nested
from fuzz.oracle.tensor_core import BY_MAJOR, VOLTA

TABLES: Final = Path(__file__).parent / "calibrations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One arm in one dtype.

    Attributes:
        dtype: of activation and output, such as "float16".
        nested: the evaluations of compressed scales that agree best; empty for an arm without an emulation.
        outputs: how many were judged.
        outside_bound: of these, beyond the a-priori bound.
        outside_interval: of these, outside of the interval of the emulated arithmetic.
        different: of these, with other bits than the ordered emulation (for `linear`: than torch's own linear on the
            emulated weight; for `dequantize`: than the one rounded product).
    """

    arm: Arm
    dtype: str
    nested: tuple[Nested, ...]
    outputs: int
    outside_bound: int
    outside_interval: int
    different: int

    @property
    def usable(self) -> bool:
        """Whether the interval of the emulated arithmetic may judge."""
        return self.outputs > 0 and len(self.nested) > 0 and self.outside_interval == 0

    @property
    def ordered(self) -> bool:
        """Whether the bits themselves may judge."""
        return self.usable and self.different == 0

    def to_json(self) -> dict[str, Any]:
        """The row as JSON data."""
        return {**dataclasses.asdict(self), "arm": self.arm.value, "nested": [nested.value for nested in self.nested]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Row:
        """The row that `to_json` wrote."""
        return cls(**{**data, "arm": Arm(data["arm"]), "nested": tuple(Nested(name) for name in data["nested"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The rows of one release of bitsandbytes on one device.

    Attributes:
        device: a GPU's name, or "cpu" and its vector unit.
        capability: compute capability, such as "9.0"; empty for a CPU.
        release: version of bitsandbytes.
        system: versions and date of the measurement.
    """

    device: str
    capability: str
    release: str
    system: dict[str, str]
    rows: tuple[Row, ...] = field(default_factory=tuple)

    def row(self, arm: Arm, dtype: torch.dtype) -> Row | None:
        """The row of an arm in a dtype."""
        name = str(dtype).removeprefix("torch.")
        return next((row for row in self.rows if row.arm is arm and row.dtype == name), None)

    def arithmetics(self, arms: Iterable[Arm], dtype: torch.dtype, *, late_bias: bool = False) -> tuple[Arithmetic, ...]:
        """Every way in which one of `arms` may compute; empty if that is not known of one of them."""
        rows = [(arm, self.row(arm, dtype)) for arm in arms]
        core = BY_MAJOR.get(int(self.capability.split(".")[0]), VOLTA) if self.capability else VOLTA
        if any(row is None or not row.usable for _, row in rows):
            return ()
        return tuple(
            Arithmetic(
                arm=arm, nested=nested, core=core, ordered=row.ordered and arm is not Arm.LINEAR, late_bias=late_bias and arm is Arm.GEMV
            )
            for arm, row in rows
            if row is not None
            for nested in row.nested
        )

    def to_json(self) -> dict[str, Any]:
        """The table as JSON data."""
        return {**dataclasses.asdict(self), "rows": [row.to_json() for row in self.rows]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Calibration:
        """The table that `to_json` wrote."""
        return cls(**{**data, "rows": tuple(Row.from_json(row) for row in data["rows"])})

    @classmethod
    def from_json_text(cls, text: str) -> Calibration:
        """The table in a file's text."""
        return cls.from_json(json.loads(text))


def table_path(device: str, release: str, tables: Path = TABLES) -> Path:
    """Where the table of a device and a release is kept."""
    return tables / f"{re.sub(r'[^a-z0-9]+', '-', device.lower()).strip('-')}_{release}.json"


@functools.cache
def find(device: str, release: str, tables: Path = TABLES) -> Calibration | None:
    """The committed table of a device and a release, if there is one."""
    path = table_path(device, release, tables)
    if not path.is_file():
        return None
    return Calibration.from_json_text(path.read_text(encoding="utf-8"))


def write(table: Calibration, tables: Path = TABLES) -> Path:
    """Write a table to where `find` looks for it."""
    path = table_path(table.device, table.release, tables)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(table.to_json(), indent=1) + "\n", encoding="utf-8")
    find.cache_clear()
    return path
