"""Runs a script under one tool of compute-sanitizer."""

from __future__ import annotations

import contextlib
import enum
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fuzz.sanitizer.output import read
from reports.sanitizer import SanitizerReport


class Tool(enum.Enum):
    """What is looked for; in the order in which it is run, since the manual asks for memcheck before the others."""

    MEMCHECK = "memcheck"
    RACECHECK = "racecheck"
    INITCHECK = "initcheck"


ERROR_STATUS: Final = 66
"""What the sanitizer ends with if it found something and the script did not fail: no status of a script or of Python."""

PRINTED: Final = 5
"""Errors that are printed, of thousands that one wrong index may cause. All of them are counted."""

PADDING: Final = 4096
"""Bytes behind each allocation that belong to none, since allocations may lie back to back: a kernel's tile reaches this far."""

OWN_ALLOCATIONS: Final = {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
"""Gives each tensor an allocation of its own; in torch's pool what lies beyond a tensor, and what was freed, is allocated and has been
written. https://docs.pytorch.org/docs/stable/cuda_environment_variables.html"""

_ONLY: Final[dict[Tool, tuple[str, ...]]] = {
    # Failed calls of the CUDA API are no memory errors, and a start of torch may have more of them than are printed.
    Tool.MEMCHECK: ("--report-api-errors", "no", "--padding", str(PADDING)),
    Tool.RACECHECK: (),
    # Allocations of which a part is never used are not reported unless --track-unused-memory asks for it.
    Tool.INITCHECK: (),
}


class SanitizerUnusableError(RuntimeError):
    """The tool could not say anything about the script, in one sentence."""


def command(sanitizer: Path, tool: Tool, script: Path) -> list[str]:
    """The command line that runs `script` under `tool`."""
    options = ["--tool", tool.value, "--error-exitcode", str(ERROR_STATUS), "--print-limit", str(PRINTED), "--show-backtrace", "device"]
    # A script whose call ends its process makes it in a second one, and gives that less time than it takes here.
    call = ["--call"] if '"--call"' in script.read_text(encoding="utf-8", errors="replace") else []
    return [str(sanitizer), *options, *_ONLY[tool], sys.executable, str(script.resolve()), *call]


def run(sanitizer: Path, tool: Tool, script: Path, limit: float) -> SanitizerReport:
    """What `tool` reports of `script`, which has `limit` seconds.

    Raises:
        SanitizerUnusableError: it did not start, did not end in time, or came to nothing, in one sentence.
    """
    try:
        status, output = _run(command(sanitizer, tool, script), limit)
    except OSError as error:
        raise SanitizerUnusableError(f"{error.filename or sanitizer} cannot be run: {error.strerror}") from None
    found = read(output)
    if found.errors is None and found.reported:  # it was cut short, and had found something by then
        return SanitizerReport(
            tool=tool.value, errors=sum(error.count for error in found.reported), reported=found.reported, complete=False
        )
    if found.errors is None and status is None:
        raise SanitizerUnusableError(f"it did not end within {limit:g} s; --timeout gives it more")
    if found.errors is None or (found.problem and not found.errors):
        raise SanitizerUnusableError(f"it ended with exit status {status}: {found.problem}")
    failed = found.failed or status not in (0, ERROR_STATUS)
    return SanitizerReport(tool=tool.value, errors=found.errors, warnings=found.warnings, reported=found.reported, failed=failed)


def _run(arguments: Sequence[str], limit: float) -> tuple[int | None, str]:
    """Exit status, None if it did not end in time, and output.

    The output goes to a file, and whatever was started ends with the sanitizer: a script that is left over keeps a pipe open
    and the GPU busy.
    """
    environment = os.environ | OWN_ALLOCATIONS
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(  # noqa: S603 - a script that this program wrote
            arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        ) as process,
    ):
        status: int | None = None
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = process.wait(limit)
        finally:
            if status is None:
                os.killpg(process.pid, signal.SIGKILL)
        output.seek(0)
        return status, output.read().decode(errors="replace")
