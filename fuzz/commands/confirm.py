"""Runs the scripts of findings under NVIDIA's compute-sanitizer, and adds what it reports to the findings.

Exit status: 0 it reported nothing, 1 it reported errors, 2 it could not run.
"""

from __future__ import annotations

import argparse
import enum
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from fuzz.commands.console import duration, say
from fuzz.engine.driver import has_driver
from fuzz.sanitizer import locate
from fuzz.sanitizer.run import SanitizerUnusableError, Tool, run
from reports.finding import Finding, RecordError, read_json
from reports.memory_safety import outcome
from reports.page import NAME as PAGE
from reports.page.at_end import page_line
from reports.run import write_record
from reports.sanitizer import SanitizerReport
from reports.text import short
from strategies.case import CaseError

TIMEOUT: Final = 600.0
"""Seconds for one tool. A script takes about ten by itself, and the sanitizer makes the start of torch several times as slow."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command line of `confirm`."""
    parser = commands.add_parser(
        "confirm",
        help="run findings' scripts under compute-sanitizer",
        description="Run findings' scripts under NVIDIA's compute-sanitizer, and add what it reports to the findings. "
        "Exit status: 0 it reported nothing, 1 it reported errors, 2 it could not run.",
    )
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="FINDING", help="a finding's folder, its finding.json, or a reports directory for all of its"
    )
    parser.add_argument(
        "--tools",
        type=_tools,
        default=tuple(Tool),
        metavar="TOOL,...",
        help=f"default: {','.join(tool.value for tool in Tool)}",
    )
    parser.add_argument("--timeout", type=duration, default=TIMEOUT, metavar="TIME", help="for each tool (default: 10m)")
    parser.add_argument(
        "--sanitizer", type=_program, metavar="PATH", help="default: compute-sanitizer on PATH, of a CUDA toolkit, or of a Python package"
    )
    parser.set_defaults(run=lambda options: confirm(options.paths, Job(options.sanitizer or locate.find(), options.tools, options.timeout)))


def _tools(text: str) -> tuple[Tool, ...]:
    """Tools from their names; argparse shows which one is wrong."""
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in {tool.value for tool in Tool}]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not one of {', '.join(tool.value for tool in Tool)}")
    return tuple(tool for tool in Tool if tool.value in names)


def _program(text: str) -> Path:
    """A program by its path; argparse shows one that cannot be run."""
    found = shutil.which(str(Path(text).resolve()))
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no program that can be run")
    return Path(found)


class Outcome(enum.IntEnum):
    """Exit status of `confirm`; several inputs give the largest."""

    NOTHING_REPORTED = 0
    REPORTED = 1
    COULD_NOT_RUN = 2


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done with each finding; `limit` is in seconds for each tool. `sanitizer` None: there is none."""

    sanitizer: Path | None
    tools: tuple[Tool, ...]
    limit: float


@dataclass(frozen=True, slots=True)
class Confirmable:
    """A finding whose script can be run under the sanitizer."""

    folder: Path
    finding: Finding

    @property
    def script(self) -> Path:
        """Its script."""
        return self.folder / "repro.py"


def confirm(paths: Sequence[Path], job: Job) -> Outcome:
    """Run the scripts of the findings at `paths` under each tool, say and write down what it reports."""
    if job.sanitizer is None:
        say(f"could not run: there is no {locate.NAME}, {locate.missing()}; --sanitizer names one", error=True)
        return Outcome.COULD_NOT_RUN
    if not has_driver():
        say("could not run: there is no NVIDIA driver on this machine, and compute-sanitizer checks what runs on a GPU", error=True)
        return Outcome.COULD_NOT_RUN
    folders = [folder for path in paths for folder in _folders(path)]
    outcomes = [_confirm_one(folder, job.sanitizer, job) for folder in folders]
    for root in dict.fromkeys(_with_page(folders)):
        say(page_line(root))
    return max(outcomes, default=Outcome.NOTHING_REPORTED)


def _folders(path: Path) -> Iterator[Path]:
    """The folders of the findings that `path` names; what is none is said to be so when it is read."""
    inside = sorted(file.parent for file in path.glob("findings/*/finding.json"))
    yield from inside or [path.parent if path.name == "finding.json" else path]


def _with_page(folders: Sequence[Path]) -> Iterator[Path]:
    """The reports directories that findings' folders are in, of those that have a page."""
    for folder in folders:
        findings = folder.resolve().parent
        if findings.name == "findings" and (findings.parent / PAGE).exists():
            yield findings.parent


def load(folder: Path) -> Confirmable:
    """The finding in `folder`.

    Raises:
        RecordError, CaseError: there is none, or it is not one that a sanitizer can say anything about, in one sentence.
    """
    if folder.is_file():
        raise RecordError("it is no finding's folder, and only a finding has a script")
    item = Confirmable(folder, Finding.from_json(read_json(folder / "finding.json")))
    if item.finding.system.get("device") != "cuda":
        raise RecordError("it was found on the CPU, and compute-sanitizer checks what runs on a GPU")
    if not item.script.is_file():
        raise RecordError("it has no repro.py")
    return item


def _confirm_one(folder: Path, sanitizer: Path, job: Job) -> Outcome:
    try:
        item = load(folder)
    except (RecordError, CaseError) as error:
        say(f"{folder}: could not run: {error}", error=True)
        return Outcome.COULD_NOT_RUN
    outcomes = []
    for tool in job.tools:
        item, result = _checked(item, tool, sanitizer, job.limit)
        outcomes.append(result)
    return max(outcomes)


def _checked(item: Confirmable, tool: Tool, sanitizer: Path, limit: float) -> tuple[Confirmable, Outcome]:
    """The finding with what `tool` reports, written down at once: what the next one does costs nothing of it."""
    try:
        report = run(sanitizer, tool, item.script, limit)
        finding = with_report(item.finding, report)
        write_record(item.folder, finding, item.script.read_text(encoding="utf-8", errors="replace"))
    except SanitizerUnusableError as error:
        say(f"{item.folder}: {tool.value}: could not run: {error}", error=True)
        return item, Outcome.COULD_NOT_RUN
    except OSError as error:
        say(f"{item.folder}: {tool.value}: could not write {error.filename or item.folder}: {error.strerror}", error=True)
        return item, Outcome.COULD_NOT_RUN
    say(f"{item.folder}: {tool.value}: {_said(report)}")
    return replace(item, finding=finding), Outcome.REPORTED if report.errors else Outcome.NOTHING_REPORTED


def with_report(finding: Finding, report: SanitizerReport) -> Finding:
    """The finding with a report, which takes the place of an earlier one of the same tool."""
    reports = {earlier.tool: earlier for earlier in finding.sanitizer} | {report.tool: report}
    return replace(finding, sanitizer=tuple(reports.values()))


def _said(report: SanitizerReport) -> str:
    """What a tool reported, on one line."""
    kinds = "; ".join(f"{short(error.kind)}{f' in {short(error.kernel)}' if error.kernel else ''}" for error in report.reported)
    unseen = "" if report.failed else "; the script ended without an error, so that the defect may not have shown"
    return f"{outcome(report)}{f': {kinds}' if kinds else ''}{unseen}"
