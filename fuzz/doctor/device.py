"""What a child sees: GPU, torch, bitsandbytes and its native library, calibration."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fuzz.doctor.line import GPU, Line, no, ok, warn
from fuzz.doctor.machine import gibibytes
from fuzz.doctor.versions import compared, supported
from fuzz.engine.executor import Executor, HarnessError, Ready
from reports.text import one_line


@dataclass(frozen=True, slots=True)
class Sight:
    """What came of starting children.

    Attributes:
        ready: what the child said that a run would use; None if none started.
        gpu: why the GPU cannot be used; empty if it can, or was not asked for.
        failure: why no child started.
    """

    ready: Ready | None
    gpu: str = ""
    failure: str = ""


def look(device: str) -> Sight:
    """Start children on "auto", "cpu" or "cuda". Where the GPU cannot be used, the rest is looked at on the CPU."""
    reason = ""
    if device != "cpu":
        try:
            return Sight(_start("cuda"))
        except HarnessError as error:
            reason = one_line(str(error)).removeprefix("no usable GPU: ")
    try:
        return Sight(_start("cpu"), gpu=reason)
    except HarnessError as error:
        return Sight(None, gpu=reason, failure=one_line(str(error)))


def _start(device: str) -> Ready:
    with Executor(device, spares=0) as executor:
        return executor.start()


def lines(sight: Sight, device: str) -> Iterator[Line]:
    """What a child saw, line by line."""
    yield _gpu(sight, device)
    if sight.ready is None:
        yield no("bitsandbytes", f"no child could start: {sight.failure}", stops=True)
        return
    library, system = sight.ready.library, sight.ready.system
    yield _torch(system)
    yield compared("bitsandbytes", system["bitsandbytes"], supported("bitsandbytes"))
    yield _native(library["native"], system["device"])
    yield _calibration(library["device_name"], library["version"])
    yield _triton(triton=library["triton"], device=system["device"])


def _gpu(sight: Sight, device: str) -> Line:
    if device == "cpu":
        return ok(GPU, "not asked for (--device cpu)")
    if sight.ready is None or sight.gpu:
        return no(GPU, f"cannot be used: {sight.gpu}", stops=device == "cuda")
    gpu, system = sight.ready.library["gpu"], sight.ready.system
    return ok(GPU, f"{one_line(system['gpu'])}, compute capability {system['compute_capability']}, {gibibytes(gpu['memory'])}")


def _torch(system: dict[str, str]) -> Line:
    line = compared("torch", system["torch"], supported("torch"))
    return dataclasses.replace(line, text=f"{line.text}, CUDA {system['cuda']}") if "cuda" in system else line


def _native(native: dict[str, Any], device: str) -> Line:
    if not native["file"]:
        return no("native library", one_line(native["missing"]), stops=device == "cuda")
    if device == "cuda" and "cpu" in native["file"]:
        return no("native library", f"{native['file']}, which has no CUDA kernels", stops=True)
    return ok("native library", native["file"])


def _calibration(device_name: str, release: str) -> Line:
    from fuzz.oracle.calibration import find  # noqa: PLC0415 - imports torch, which may be missing

    table = find(device_name, release)
    if table is None:
        return warn(
            "calibration", f"none for {one_line(device_name)} with {release}: proven bounds only; `python -m fuzz calibrate` makes one"
        )
    usable = sum(row.usable for row in table.rows)
    return ok("calibration", f"{one_line(device_name)} with {release}: {usable} of {len(table.rows)} kernels and dtypes")


def _triton(*, triton: bool, device: str) -> Line:
    if triton:
        return ok("Triton", "its functions for the 4-bit ops can be called, which nightly and deep runs do")
    reason = "no GPU" if device == "cpu" else "no Triton, no C compiler for it, or functions with other arguments than those known"
    return no("Triton", f"its functions for the 4-bit ops are not fuzzed here: {reason}")
