"""Says what this machine can fuzz and what not, and why. Exit status: 0 a run makes sense here, 1 it does not, 2 bad usage.

CUDA is not initialised in this process: a child looks at the device, as in a run.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fuzz.commands.console import say
from fuzz.doctor.line import GPU, Line, Mark, no
from fuzz.doctor.machine import machine
from fuzz.doctor.versions import can_compare, versions

PROJECT: Final = Path(__file__).resolve().parents[2]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command line of `doctor`."""
    parser = commands.add_parser(
        "doctor",
        help="say what this machine can fuzz and what not",
        description="Say what this machine can fuzz and what not. Exit status: 0 a run makes sense here, 1 it does not, 2 bad usage.",
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="as --fuzz-device of a run: with cuda the CPU alone will not do"
    )
    parser.add_argument("--reports-dir", type=Path, default=PROJECT / "reports" / "out", metavar="DIR", help="where a run would write")
    parser.add_argument(
        "--known-issues", type=Path, default=PROJECT / "fuzz" / "known_issues.toml", metavar="FILE", help="the file that a run would read"
    )
    parser.add_argument(
        "--corpus", type=Path, default=PROJECT / "fuzz" / "corpus", metavar="DIR", help="the Cases that a run would begin with"
    )
    parser.set_defaults(run=lambda options: doctor(options.device, options.reports_dir, options.known_issues, options.corpus))


def doctor(device: str, reports: Path, known: Path, corpus: Path) -> int:
    """Look at everything that a run needs, print a line for each, and return the exit status."""
    lines = list(_examined(device, reports, known, corpus))
    width = max(len(line.subject) for line in lines)
    for line in lines:
        say(f"{line.mark.value:<4}  {line.subject:<{width}}  {line.text}")
    obstacles = [line for line in lines if line.stops]
    if obstacles:
        say("no run makes sense here: " + "; ".join(f"{line.subject}: {line.text}" for line in obstacles))
        return 1
    without = any(line.subject == GPU and line.mark is Mark.NO for line in lines)
    say(f"a run makes sense here{', on the CPU only' if without else ''}: pytest fuzz/ --fuzz-device {device}")
    return 0


def _examined(device: str, reports: Path, known: Path, corpus: Path) -> Iterator[Line]:
    if not can_compare():
        yield no("packaging", "not installed: no version can be compared, and no run can start", stops=True)
        yield from machine()
        return
    from fuzz.doctor.device import lines, look  # noqa: PLC0415 - these import packaging
    from fuzz.doctor.files import known_files, reports_directory  # noqa: PLC0415

    sight = look(device)
    yield from versions()
    yield from lines(sight, device)
    yield from machine()
    yield reports_directory(reports)
    yield from known_files(known, corpus, None if sight.ready is None else sight.ready.system)
