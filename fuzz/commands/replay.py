"""Runs findings or bare Cases again: exit 0 gone, 1 still there, 2 could not run."""

from __future__ import annotations

import argparse
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fuzz.commands.console import duration, say
from fuzz.engine.executor import DEFAULT_WATCHDOG, Executor, HarnessError
from fuzz.engine.verdict import CaseResult, FailureKey, PathVerdict, Ruling, Symptom
from fuzz.triage.verify import QUANTIZE, selection
from reports.finding import Finding, RecordError, read_json
from reports.text import one_line
from strategies.case import Case, CaseError


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # argparse has no public name for it
    """The command line of `replay`."""
    parser = commands.add_parser(
        "replay",
        help="run findings or bare Cases again",
        description="Run findings or bare Cases again. Exit status: 0 gone, 1 still there, 2 could not run.",
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a finding's folder, its finding.json, or a Case's JSON")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), help="default: the device of the finding, or auto for a Case")
    parser.add_argument("--watchdog", type=duration, default=DEFAULT_WATCHDOG, metavar="TIME", help="silence that counts as a hang")
    parser.set_defaults(run=lambda options: replay(options.paths, options.device, options.watchdog))


class Outcome(enum.IntEnum):
    """Exit status of `replay`; several inputs give the largest."""

    GONE = 0
    STILL_THERE = 1
    COULD_NOT_RUN = 2


@dataclass(frozen=True, slots=True)
class Replay:
    """What is to be run again: a Case, and the failure that is looked for (None: any)."""

    origin: Path
    case: Case
    key: FailureKey | None
    device: str


def load(path: Path) -> Replay:
    """The finding or bare Case at `path`: a finding's folder, its `finding.json`, or a Case's JSON.

    Raises:
        RecordError, CaseError: it is none of them, in one sentence.
    """
    file = path / "finding.json" if path.is_dir() else path
    data = read_json(file)
    if isinstance(data, dict) and "signature" in data:
        finding = Finding.from_json(data)
        return Replay(file, finding.case, _key(finding), finding.system.get("device", "auto"))
    return Replay(file, Case.from_json(data), None, "auto")


def _key(finding: Finding) -> FailureKey:
    """The failure that a finding is about."""
    try:
        symptom, ruling = Symptom(finding.symptom), Ruling(finding.ruling)
    except ValueError as error:
        raise RecordError(f"the finding cannot be used: {error}") from None
    return FailureKey.of(
        PathVerdict(path=finding.path, surface=finding.surface, ruling=ruling, source=finding.source, symptom=symptom, how=finding.how)
    )


def replay(paths: Sequence[Path], device: str | None, watchdog: float) -> Outcome:
    """Run what is at `paths` again, each in a fresh process, and say what came of it."""
    outcomes = [_replay_one(path, device, watchdog) for path in paths]
    return max(outcomes, default=Outcome.GONE)


def _replay_one(path: Path, device: str | None, watchdog: float) -> Outcome:
    try:
        item = load(path)
        with Executor(device or item.device, watchdog, spares=0) as executor:
            result = executor.run(item.case, None if item.key is None else selection(item.key))
    except (RecordError, CaseError, HarnessError) as error:
        say(f"{path}: could not run: {error}", error=True)
        return Outcome.COULD_NOT_RUN
    if item.key is not None and (reason := why_not_run(item.key, result)):
        say(f"{path}: could not run: {reason}", error=True)
        return Outcome.COULD_NOT_RUN
    lines = _failures(item, result)
    if not lines:
        say(f"{path}: gone{_instead(item, result)}")
        return Outcome.GONE
    for line in lines:
        say(f"{path}: still there: {line}")
    return Outcome.STILL_THERE


def why_not_run(key: FailureKey, result: CaseResult) -> str:
    """Why `result` does not tell whether the failure `key` is still there; empty if it does.

    A path gives no verdict if this release does not have it, or if what comes before it went wrong: that is no fix.
    """
    verdict = next((verdict for verdict in result.verdicts if verdict.path == key.path), None)
    if verdict is not None:
        # An exception that a valid Case may raise is that memory ran out, which says nothing about the library.
        excused = verdict.symptom is None and verdict.ruling is Ruling.VALID and verdict.got
        return f"{key.path} raised {one_line(verdict.got)}" if excused else ""
    if earlier := next((verdict for verdict in result.verdicts if _ends_a_case(verdict)), None):
        return f"{key.path} was not run after {_described(earlier)}"
    return f"this release has no way to run this Case on {key.path}"


def _ends_a_case(verdict: PathVerdict) -> bool:
    """Whether what comes after `verdict` may not have been run because of it."""
    if verdict.path != QUANTIZE:
        return verdict.symptom is not None
    # A weight that is stored wrongly can still be used; one that was refused cannot.
    return bool(verdict.got) if verdict.symptom is None else verdict.symptom is not Symptom.WRONG_VALUE


def _instead(item: Replay, result: CaseResult) -> str:
    """What the path of a finding that is gone does now, if that is not simply right."""
    verdict = next((verdict for verdict in result.verdicts if item.key is not None and verdict.path == item.key.path), None)
    if verdict is None or not verdict.got:
        return ""
    return f", but now {_described(verdict)}"


def _described(verdict: PathVerdict) -> str:
    got = one_line(verdict.got)
    return f"{verdict.path} raised {got}" if verdict.symptom is None else f"{verdict.path} failed ({verdict.symptom.value}): {got}"


def _failures(item: Replay, result: CaseResult) -> list[str]:
    failures = result.failures
    if item.key is not None:
        found = result.failure(item.key)
        failures = () if found is None else (found,)
    return [
        f"{verdict.surface}, {verdict.path}: {verdict.symptom.value if verdict.symptom else ''}: "
        f"expected {verdict.expected}, got {verdict.got}"
        for verdict in failures
    ]
