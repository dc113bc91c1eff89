"""A program in compute-sanitizer's place: it takes the options that the real one does, runs the script, and prints a sample.

It refuses options as version 2026.4 does, which ends with 255 after a sentence without prefix.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

SCRIPTED: Final = "STUB_SANITIZER"
"""Variable with the JSON of `Stub`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stub:
    """What the program does.

    Attributes:
        samples: what it prints, by tool.
        attaches: whether it gets so far as to run the script.
        hangs: whether it waits for a process that never ends, after it has printed the sample up to its summary.
        record: a file that each run adds a line of JSON to: tool, arguments of the script, the allocator's variable, process id.
    """

    samples: dict[str, str] = field(default_factory=dict)
    attaches: bool = True
    hangs: bool = False
    record: str = ""

    def install(self, folder: Path) -> dict[str, str]:
        """Write the program to `folder`, and return the environment that it needs."""
        file = folder / "compute-sanitizer"
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!{sys.executable}\n{Path(__file__).read_text(encoding='utf-8')}", encoding="utf-8")
        file.chmod(0o755)
        return {SCRIPTED: json.dumps(asdict(self))}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--tool", choices=("memcheck", "racecheck", "initcheck"), required=True)
    parser.add_argument("--error-exitcode", type=int, required=True)
    parser.add_argument("--print-limit", type=int, required=True)
    parser.add_argument("--show-backtrace", choices=("yes", "host", "device", "no"), required=True)
    parser.add_argument("--report-api-errors", choices=("all", "extended", "explicit", "no"))
    parser.add_argument("--padding", type=int)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    try:
        options = parser.parse_args()
    except argparse.ArgumentError as error:
        print(error)  # noqa: T201
        sys.exit(255)
    if (unknown := options.command[0]).startswith("-"):
        print(f"unrecognised option {unknown!r}")  # noqa: T201
        sys.exit(255)
    return options


def main() -> int:
    """What compute-sanitizer does, as far as its output and its status tell."""
    options, stub = _options(), Stub(**json.loads(os.environ[SCRIPTED]))
    sample = stub.samples.get(options.tool, "========= COMPUTE-SANITIZER\n========= ERROR SUMMARY: 0 errors\n")
    if not stub.attaches:
        print(sample, end="")  # noqa: T201
        return 255
    command = [*options.command, "sleep"] if stub.hangs else options.command
    with subprocess.Popen(command) as script:
        _record(stub, options, script.pid)
        if stub.hangs:
            print(sample.partition("========= ERROR SUMMARY")[0], end="", flush=True)  # noqa: T201
            time.sleep(60)
    if script.returncode:
        print("========= Error: process didn't terminate successfully\n========= Target application returned an error")  # noqa: T201
    print(sample, end="")  # noqa: T201
    return script.returncode or (0 if "SUMMARY: 0 " in sample else options.error_exitcode)


def _record(stub: Stub, options: argparse.Namespace, process: int) -> None:
    if stub.record:
        line = {
            "tool": options.tool,
            "limit": options.print_limit,
            "backtrace": options.show_backtrace,
            "script": options.command[1:],
            "caching": os.environ.get("PYTORCH_NO_CUDA_MEMORY_CACHING"),
            "process": process,
        }
        with Path(stub.record).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    sys.exit(main())
