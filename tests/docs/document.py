"""Runs the examples of a page of documentation in a copy of the sources.

A `diff` block is applied, and a `python NAME` block is written to a file of that name. A `console` block has commands
behind "$ ", each with the output that it must have; "..." stands for any text. The commands of a page share one shell.
Other blocks are not allowed, since nobody would notice them go stale.
"""

from __future__ import annotations

import doctest
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.end_to_end.commands import PROJECT, STUCK
from tests.reports.markdown import Block, parse

DOCS: Final = PROJECT / "docs"
COPIED: Final = ("strategies", "fuzz", "reports", "tests", "nightly", "docs", "conftest.py", "pyproject.toml", "constraints.txt")
OPTIONS: Final = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
END: Final = "\x1e"
"""Between the outputs of two commands."""


class StaleError(AssertionError):
    """An example that no longer does what its page says."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command and the output that its page promises."""

    text: str
    output: str


def copy_sources(folder: Path) -> Path:
    """A copy of the project that examples may change."""
    copy = folder / "project"
    copy.mkdir()
    unwanted = shutil.ignore_patterns("__pycache__", ".*", "out")
    for name in COPIED:
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, copy / name, ignore=unwanted)
        else:
            shutil.copy2(PROJECT / name, copy / name)
    return copy


def run(text: str, copy: Path) -> None:
    """Apply the changes of a page to `copy`, then run its commands there.

    Raises:
        StaleError: a change does not apply, or a command prints something else; the message shows both.
    """
    blocks = parse(text)[1]
    for block in blocks:
        kind, _, name = block.info.partition(" ")
        if kind == "diff":
            _apply(block, copy)
        elif kind == "python" and name:
            (copy / name).write_text("\n".join([*block.lines, ""]), encoding="utf-8")
        elif kind != "console":
            raise StaleError(f"a block of {block.info!r} is not run")
    _check([command for block in blocks if block.info == "console" for command in commands(block)], copy)


def _apply(block: Block, copy: Path) -> None:
    patch = "\n".join([*block.lines, ""])
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(copy.parent)}
    command = ["git", "apply", "-p1", "--recount", "-"]
    done = subprocess.run(command, cwd=copy, env=environment, input=patch, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise StaleError(f"the change does not apply: {done.stderr}\n{patch}")


def commands(block: Block) -> Iterator[Command]:
    """The commands of a block. A line that ends with a backslash goes on in the next one."""
    text: list[str] = []
    output: list[str] = []
    continued = False
    for line in block.lines:
        if line.startswith("$ ") and not continued:
            if text:
                yield Command("\n".join(text), "\n".join(output))
            text, output = [line.removeprefix("$ ")], []
        elif continued:
            text.append(line.strip())
        else:
            output.append(line)
        continued = bool(text) and not output and text[-1].endswith("\\")
    if text:
        yield Command("\n".join(text), "\n".join(output))


def _check(expected: Sequence[Command], copy: Path) -> None:
    # The status of a command stays what it is for the next one, which may print it.
    script = "\n".join(f"{command.text}\nstatus=$?; printf '{END}'; (exit $status)" for command in expected)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=copy,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=STUCK,
        check=False,
    )
    outputs = done.stdout.split(END)
    checker = doctest.OutputChecker()
    for command, output in zip(expected, outputs, strict=False):
        want = command.output.strip()
        if not checker.check_output(want + "\n", output.strip() + "\n", OPTIONS):
            raise StaleError(f"$ {command.text}\n--- the page says:\n{want}\n--- it prints:\n{output}")
    if len(outputs) != len(expected) + 1:
        raise StaleError(f"the shell ended after {len(outputs) - 1} of {len(expected)} commands: {outputs[-1]}")


def _environment() -> dict[str, str]:
    """This interpreter as `python`, and nothing of an outer pytest."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    paths = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return inherited | {"PATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
