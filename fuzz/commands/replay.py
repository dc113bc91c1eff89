"""Runs findings or bare Cases again: exit 0 gone, 1 still there, 2 could not run."""

from __future__ import annotations

import argparse
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fuzz.commands.console import duration, say
from fuzz.engine.executor import DEFAULT_WATCHDOG, Executor, HarnessError
from fuzz.engine.verdict import CaseResult, FailureKey, Symptom
from fuzz.triage.verify import selection
from reports.finding import Finding, RecordError, read_json
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
        key = FailureKey(finding.surface, finding.path, Symptom(finding.symptom), finding.how)
        return Replay(file, finding.case, key, finding.system.get("device", "auto"))
    return Replay(file, Case.from_json(data), None, "auto")


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
    lines = _failures(item, result)
    if not lines:
        say(f"{path}: gone")
        return Outcome.GONE
    for line in lines:
        say(f"{path}: still there: {line}")
    return Outcome.STILL_THERE


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
