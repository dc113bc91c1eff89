"""Lets the oracle find planted faults. Exit status: 0 all found and nothing right flagged, 1 not so, 2 could not run."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, Final

from fuzz.commands.console import positive, say
from strategies.case import Case, Fill, QuantType

if TYPE_CHECKING:
    from fuzz.engine.library import Library
    from fuzz.selfcheck.check import Seen
    from fuzz.selfcheck.search import Searches

EMULATED_DEVICE: Final = "NVIDIA H200"
EMULATED_RELEASE: Final = "0.50.2"
"""The calibration that is relied on where kernels are emulated: emulations are its kernels, bit for bit."""

RIGHT_CASES: Final = 40
"""Cases of each search whose right results are judged in every step and kernel."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command line of `selfcheck`."""
    parser = commands.add_parser(
        "selfcheck",
        help="let the oracle find planted faults",
        description="Let the oracle find planted faults. Exit status: 0 all found and nothing right flagged, 1 not so, 2 could not run.",
    )
    parser.add_argument(
        "--device",
        choices=("cpu", "cuda"),
        default="cpu",
        help="cpu: emulated kernels (default); cuda: those of the GPU",
    )
    parser.add_argument("--seeds", type=positive, default=5, metavar="N", help="searches for each fault (default: 5)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only faults whose name contains this")
    parser.set_defaults(run=lambda options: selfcheck(options.device, options.seeds, options.only))


def selfcheck(device: str, seeds: int, only: str) -> int:
    """Search for every planted fault, print how it fared, and return the exit status."""
    import fuzz.engine.environment  # noqa: F401, PLC0415 - sets the environment before torch is imported
    from fuzz.engine import devices, library, runner, switches  # noqa: PLC0415
    from fuzz.selfcheck.check import planted  # noqa: PLC0415

    try:
        found = library.inspect_library(devices.choose(device).name)
    except (devices.DeviceError, ImportError, ValueError) as error:
        say(f"could not run: {error}", error=True)
        return 2
    switches.set_and_check()
    runner.quiet()
    searches = _searches(found, seeds)
    alarms = _right_results(searches)
    items = [item for item in planted() if only in item.name]
    seen = [_shown(searches.find(item)) for item in items]
    missed = [item for item in seen if not item.found]
    for item in missed:
        say(f"not found: {item.planted.name}")
    say(f"{len(seen) - len(missed)} of {len(seen)} planted faults found")
    return 1 if alarms or missed or not seen else 0


def _searches(found: Library, seeds: int) -> Searches:
    from fuzz.oracle.arms import Arm  # noqa: PLC0415
    from fuzz.selfcheck.check import NOTHING, Checker, Planted  # noqa: PLC0415
    from fuzz.selfcheck.draw import wide  # noqa: PLC0415
    from fuzz.selfcheck.fault import Step  # noqa: PLC0415
    from fuzz.selfcheck.search import Searches  # noqa: PLC0415
    from fuzz.selfcheck.subject import emulated, path_of, real  # noqa: PLC0415

    if found.device == "cpu":
        judged = dataclasses.replace(found, device_name=EMULATED_DEVICE, version=EMULATED_RELEASE, fused=True)
        return Searches(Checker(judged, emulated), range(seeds), small=True, reaches=lambda item, case: case)  # noqa: ARG005

    def reaches(item: Planted, case: Case) -> Case | None:
        if item.fault.name == NOTHING and _has_known_defect(case):
            return None
        if item.fault.step is not Step.PRODUCT:
            return case
        fitting = wide(case) if item.arm is Arm.TENSOR_CORE else case
        return fitting if path_of(item.arm).arms(fitting, found) == (item.arm,) else None

    return Searches(Checker(found, real), range(seeds), small=False, reaches=reaches)


def _has_known_defect(case: Case) -> bool:
    """0.50.2 on CUDA codes a block of zeros as -1 in NF4, which is not zero once statistics are compressed."""
    quantization = case.quantization
    return case.weight.fill is Fill.ONE_HOT and quantization.compress_statistics and quantization.quant_type is QuantType.NF4


def _right_results(searches: Searches) -> int:
    """Judge results without a fault; returns how many were flagged."""
    results = list(searches.false_alarms(RIGHT_CASES))
    alarms = [result for result in results if result is not None]
    for alarm in alarms:
        say(f"false alarm: {alarm.planted.name}: {alarm.verdict.expected}, got {alarm.verdict.got}, {alarm.case}")
    say(f"nothing planted: {len(results)} right results, {len(alarms)} flagged")
    return len(alarms)


def _shown(seen: Seen) -> Seen:
    verdict = seen.verdict
    reported = "" if verdict is None or verdict.symptom is None else verdict.symptom.value
    grade = "" if verdict is None or verdict.grade is None else f", {verdict.grade.value}"
    say(f"{seen.planted.name:<75} {seen.median:>5g} cases  {reported}{grade}")
    return seen
