"""Verifies a reduced failure: fresh processes for the Case, then its script alone."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fuzz.engine.executor import Executor
from fuzz.engine.verdict import CaseResult, FailureKey, PathVerdict
from reports.finding import ScriptRun
from strategies.case import Case, Mode

ATTEMPTS: Final = 3
"""Fresh processes that must all show the failure."""

SCRIPT_TIMEOUT: Final = 120.0
"""Seconds for a script: a cold start of torch and bitsandbytes, and its own limit for a hang."""

STARTS: Final = 3
"""How often a script is started if the machine does not start it."""

OUTPUT_LENGTH: Final = 4000

QUANTIZE: Final = "quantize_4bit"
"""The path that every other begins with; it needs no selecting."""
QUANTIZE_SURFACE: Final = "functional.quantize_4bit"


@dataclass(frozen=True, slots=True)
class Verification:
    """How often a Case failed in fresh processes, the last failing verdict, and what the other paths did."""

    reproduced: int
    attempts: int
    verdict: PathVerdict | None
    others: dict[str, str]


def selection(key: FailureKey) -> list[str]:
    """The paths to run when only the failure `key` matters."""
    return [] if key.path == QUANTIZE else [key.path]


def verify(case: Case, key: FailureKey, device: str, watchdog: float, attempts: int = ATTEMPTS) -> Verification:
    """Run `case` in `attempts` fresh processes, then its other paths in one more."""
    verdicts: list[PathVerdict] = []
    for attempt in range(attempts):
        # The last one under the profiler, which could disturb what it watches.
        profile = attempt == attempts - 1 and device == "cuda"
        with Executor(device, watchdog, spares=0) as executor:
            failure = executor.run(case, selection(key), profile=profile).failure(key)
            verdicts += [failure] if failure else []
    others = other_paths(case, key, device, watchdog) if verdicts else {}
    return Verification(len(verdicts), attempts, verdicts[-1] if verdicts else None, others)


def other_paths(case: Case, key: FailureKey, device: str, watchdog: float) -> dict[str, str]:
    """What each other path does with `case`, by name; a path whose result was right says "as expected"."""
    if key.path == QUANTIZE:
        return {}
    outcomes: dict[str, str] = {}
    with Executor(device, watchdog, spares=0) as executor:
        for name in paths_in(case.execution.mode):
            if name != key.path:
                _add_outcome(outcomes, name, executor.run(case, [name]))
    return outcomes


def _add_outcome(outcomes: dict[str, str], name: str, result: CaseResult) -> None:
    for verdict in result.verdicts:
        if verdict.path == name:
            raised = f"raised {verdict.got}" if verdict.got else "as expected"
            outcomes[name] = f"{verdict.symptom.value}: {verdict.got}" if verdict.symptom else raised


_IN_EVERY_MODE: Final = {
    "dequantize_4bit": "functional.dequantize_4bit",
    "dequantize_linear": "functional.dequantize_4bit",
    "matmul_4bit": "functional.matmul_4bit",
    "gemm_4bit_op": "ops.gemm_4bit",
    "linear4bit": "nn.Linear4bit",
    "gemv_4bit": "functional.gemv_4bit",
    "gemv_4bit_op": "ops.gemv_4bit",
    "gemv_4bit_out": "ops.gemv_4bit",
}
_IN_MODE: Final[dict[Mode, dict[str, str]]] = {
    Mode.CALL: {},
    Mode.OUT: {
        "dequantize_4bit_out": "functional.dequantize_4bit(out=)",
        "quantize_4bit_out": "functional.quantize_4bit(out=, absmax=)",
        "matmul_4bit_out": "functional.matmul_4bit(out=)",
    },
    Mode.BACKWARD: {
        "matmul_4bit_input_gradient": "functional.matmul_4bit backward",
        "matmul_4bit_bias_gradient": "functional.matmul_4bit backward",
        "linear4bit_input_gradient": "nn.Linear4bit backward",
    },
    Mode.KEPT: {
        "linear4bit_reloaded": "nn.Linear4bit state_dict",
        "linear4bit_copied": "nn.Linear4bit deepcopy",
        "linear4bit_pickled": "nn.Linear4bit pickle",
        "linear4bit_cast": "nn.Linear4bit.to(dtype)",
    },
    Mode.COMPILED: {
        "dequantize_4bit_compiled": "functional.dequantize_4bit compiled",
        "matmul_4bit_compiled": "functional.matmul_4bit compiled",
        "linear4bit_compiled": "nn.Linear4bit compiled",
    },
    Mode.OPCHECK: {
        "quantize_4bit_opcheck": "ops.quantize_4bit opcheck",
        "dequantize_4bit_opcheck": "ops.dequantize_4bit opcheck",
        "dequantize_4bit_out_opcheck": "ops.dequantize_4bit.out opcheck",
        "gemm_4bit_opcheck": "ops.gemm_4bit opcheck",
        "gemv_4bit_opcheck": "ops.gemv_4bit opcheck",
        "gemv_4bit_out_opcheck": "ops.gemv_4bit.out opcheck",
    },
    Mode.GRAPH: {
        "dequantize_4bit_replayed": "functional.dequantize_4bit replayed",
        "matmul_4bit_replayed": "functional.matmul_4bit replayed",
        "gemm_4bit_replayed": "ops.gemm_4bit replayed",
        "linear4bit_replayed": "nn.Linear4bit replayed",
        "gemv_4bit_replayed": "functional.gemv_4bit replayed",
        "gemv_4bit_op_replayed": "ops.gemv_4bit replayed",
    },
    Mode.TRITON: {
        "triton_quantize_4bit": "backends.triton.quantize_4bit",
        "triton_dequantize_4bit": "backends.triton.dequantize_4bit",
        "triton_dequantize_4bit_inplace": "backends.triton.dequantize_4bit_inplace",
        "triton_gemv_4bit": "backends.triton.gemv_4bit",
    },
    Mode.GIANT: {f"{name}_giant": f"functional.{name} giant" for name in ("quantize_4bit", "dequantize_4bit", "matmul_4bit", "gemv_4bit")},
}
OTHER_PATHS: Final = _IN_EVERY_MODE | {path: surface for paths in _IN_MODE.values() for path, surface in paths.items()}
"""The paths and their surfaces, for those that must not import torch. A defect that shows on several is named after the
first: what others are built on, then what most people call."""


def paths_in(mode: Mode) -> dict[str, str]:
    """Those of `OTHER_PATHS` that run in a mode."""
    return _IN_EVERY_MODE | _IN_MODE[mode]


def paths_only_in(mode: Mode) -> dict[str, str]:
    """Those of `OTHER_PATHS` that run in a mode and in no other."""
    return _IN_MODE[mode]


def run_script(path: Path) -> ScriptRun:
    """Run `repro.py` alone in a fresh process, with the environment of this one."""
    for _ in range(STARTS):
        try:
            return _run_script([sys.executable, str(path.resolve())])
        except OSError as error:  # the machine could not start a process now; that is no reason to end a run
            reason = f"the script could not be started: {error}"
            time.sleep(1.0)
    return ScriptRun(exit_status=None, output=reason)


def _run_script(command: list[str]) -> ScriptRun:
    try:
        done = subprocess.run(  # noqa: S603 - a script that this program wrote
            command, capture_output=True, text=True, errors="replace", timeout=SCRIPT_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        output = error.stdout.decode(errors="replace") if isinstance(error.stdout, bytes) else ""
        return ScriptRun(exit_status=None, output=output[-OUTPUT_LENGTH:])
    return ScriptRun(exit_status=done.returncode, output=(done.stdout + _errors(done))[-OUTPUT_LENGTH:])


def _errors(done: subprocess.CompletedProcess[str]) -> str:
    # What a library says about itself on stderr belongs in an issue only where it explains the end of the script.
    return done.stderr if done.returncode not in (0, 1) or not done.stdout else ""
