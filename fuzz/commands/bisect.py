"""Runs a finding on several releases of bitsandbytes: which was the first bad one, and which has it fixed.

Every release is tried, not only those between a good and a bad one: a defect may come and go, and a release may be unable
to run the Case. Exit status: 0 at least one release could be judged, 2 none could, or the input is bad.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from fuzz.commands.console import duration, say
from fuzz.commands.history import Trial, sentences
from fuzz.commands.replay import Outcome, load
from fuzz.commands.sites import Releases, Site, SiteError, default_cache, given_sites, installed, listed, parse_releases
from fuzz.engine.executor import DEFAULT_WATCHDOG, START_TIMEOUT
from reports.finding import RecordError
from strategies.case import CaseError

PROJECT: Final = Path(__file__).resolve().parents[2]

PATIENCE: Final = 4 * START_TIMEOUT
"""Seconds for one release beside its watchdog: a child may be started anew a few times, and never for as long as this."""

SILENCES: Final = 10
"""Watchdogs that one release may use up. Only the path of the finding and what it requires are run, so it is two or three."""

WORDS: Final = {Outcome.GONE: "gone", Outcome.STILL_THERE: "still there", Outcome.COULD_NOT_RUN: "could not run"}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command line of `bisect`."""
    parser = commands.add_parser(
        "bisect",
        help="run a finding on several releases of bitsandbytes",
        description="Run a finding on several releases of bitsandbytes. Exit status: 0 at least one could be judged, 2 could not run.",
    )
    parser.add_argument("finding", type=Path, metavar="FINDING", help="a finding's folder, or its finding.json")
    releases = parser.add_mutually_exclusive_group()
    releases.add_argument(
        "--versions",
        type=_releases,
        default="0.48.0..",
        metavar="A..B",
        help="releases to install from the package index (default: 0.48.0..)",
    )
    releases.add_argument("--sites", nargs="+", type=Path, metavar="DIR", help="directories that each contain a release, unpacked")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), help="default: the device of the finding")
    parser.add_argument("--watchdog", type=duration, default=DEFAULT_WATCHDOG, metavar="TIME", help="silence that counts as a hang")
    parser.add_argument(
        "--cache", type=Path, default=default_cache(), metavar="DIR", help="where --versions installs (default: %(default)s)"
    )
    parser.set_defaults(run=_run)


def _releases(text: str) -> Releases:
    try:
        return parse_releases(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _run(options: argparse.Namespace) -> int:
    replayed = Replayed(options.finding, options.device, options.watchdog)
    return bisect(replayed, lambda: _candidates(options.sites, options.versions, options.cache))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A release to be tried; `site` finds or makes its directory, or raises SiteError."""

    label: str
    site: Callable[[], Site]


def _candidates(sites: Sequence[Path] | None, releases: Releases, cache: Path) -> list[Candidate]:
    if sites is not None:
        return [_unpacked(site) for site in given_sites(sites)]
    return [Candidate(str(version), partial(installed, version, cache)) for version in listed(releases)]


def _unpacked(site: Site) -> Candidate:
    return Candidate(site.label, lambda: site)


@dataclass(frozen=True, slots=True)
class Replayed:
    """A finding, and how it is run again. `device` None is that of the finding; `watchdog` is in seconds."""

    finding: Path
    device: str | None
    watchdog: float

    def check(self) -> None:
        """See that there is a finding.

        Raises:
            RecordError, CaseError: there is none, in one sentence.
        """
        if load(self.finding).key is None:
            raise RecordError(f"{self.finding} is a bare Case; only a finding says which failure to look for")

    def on(self, site: Site) -> Trial:
        """Run the finding in a fresh process that imports the release in `site`."""
        command = [sys.executable, "-m", "fuzz", "replay", str(self.finding.resolve()), "--watchdog", f"{self.watchdog:g}s"]
        command += [] if self.device is None else ["--device", self.device]
        paths = os.pathsep.join(filter(None, (str(site.path), os.environ.get("PYTHONPATH"))))
        limit = PATIENCE + SILENCES * self.watchdog
        try:
            done = subprocess.run(  # noqa: S603 - our own command
                command,
                cwd=PROJECT,
                env=os.environ | {"PYTHONPATH": paths},
                capture_output=True,
                text=True,
                errors="replace",
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Trial(site.label, Outcome.COULD_NOT_RUN, f"did not end within {limit:g} s")
        return Trial(site.label, *self._outcome(done))

    def _outcome(self, done: subprocess.CompletedProcess[str]) -> tuple[Outcome, str]:
        """What `replay` said, and why. A status without its words is no answer: Python ends with 1 for any exception."""
        lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
        for outcome, words in WORDS.items():
            said = f"{self.finding.resolve()}: {words}"
            notes = [line.removeprefix(said).lstrip(":, ") for line in lines if line.startswith(said)]
            if notes and done.returncode == outcome:
                return outcome, notes[0]
        last = next((line for line in reversed(lines) if line.strip()), "it printed nothing")
        return Outcome.COULD_NOT_RUN, f"replay ended with exit status {done.returncode}: {last}"


def bisect(replayed: Replayed, candidates: Callable[[], Sequence[Candidate]]) -> int:
    """Try every release, print a line for each and what follows from them; returns the exit status."""
    try:
        replayed.check()
        chosen = candidates()
    except (RecordError, CaseError, SiteError) as error:
        say(f"could not run: {error}", error=True)
        return 2
    trials = list(_shown(replayed, chosen))
    for sentence in sentences(trials):
        say(sentence)
    return 0 if any(trial.judged for trial in trials) else 2


def _shown(replayed: Replayed, candidates: Sequence[Candidate]) -> Iterator[Trial]:
    """The trials, each printed as it ends: an installation and a start of torch take their time."""
    width = max(len("release"), *(len(candidate.label) for candidate in candidates))
    say(f"{'release':<{width}}  {'outcome':<13}  note")
    for candidate in candidates:
        try:
            trial = replayed.on(candidate.site())
        except SiteError as error:
            trial = Trial(candidate.label, Outcome.COULD_NOT_RUN, str(error))
        say(f"{trial.label:<{width}}  {WORDS[trial.outcome]:<13}  {trial.note}".rstrip())
        yield trial
