"""The pytest side of the fuzzer: options, the `campaign` fixture, progress and summary."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from _pytest.capture import CaptureManager
from _pytest.terminal import TerminalReporter

from fuzz.campaign.budget import Budget, parse_duration
from fuzz.campaign.campaign import Progress
from fuzz.campaign.corpus import CorpusError
from fuzz.campaign.corpus import load as load_corpus
from fuzz.campaign.mixture import Property
from fuzz.campaign.profile import DEFAULT, LONG, PROFILES, RARELY, Profile
from fuzz.campaign.session import Options, Session
from fuzz.distributed import cases_of, gathered, reports_of, runs_all, seed_of, spent_of, takes_place, worker_input
from fuzz.engine.executor import HarnessError
from fuzz.interruption import Interruption
from fuzz.triage.bug import Failure
from fuzz.triage.known import KnownIssue, KnownIssuesError, load
from reports.finding import Finding
from reports.formats.actions import tell
from reports.gather import NOTHING
from reports.issue import title
from reports.outcomes import Outcomes
from reports.page.at_end import page_line
from reports.run import ReportsError, RunRecord
from reports.stored import Warn
from reports.summary import summary_lines, where
from reports.text import one_line

PROJECT: Final = Path(__file__).resolve().parent.parent
TERMINAL_INTERVAL: Final = 0.5
"""Seconds between two updates of the progress line on a terminal."""
PLAIN_INTERVAL: Final = 10.0
"""Seconds between two progress lines elsewhere."""

_SESSION: Final = pytest.StashKey[Session]()
_INTERRUPTION: Final = pytest.StashKey[Interruption]()
_PROPERTIES: Final = pytest.StashKey[list[Property]]()
"""The properties that were collected."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of a run."""
    group = parser.getgroup("fuzz", "differential fuzzing of bitsandbytes' 4-bit kernels")
    group.addoption("--fuzz-device", choices=("auto", "cpu", "cuda"), default="auto", help="device to run on (default: auto)")
    group.addoption("--fuzz-profile", choices=tuple(PROFILES), default=DEFAULT, help="what a run includes (default: default)")
    group.addoption("--fuzz-budget", metavar="TIME", help="time for the whole run: 30s, 10m, 2h (default: the profile's, 60s)")
    group.addoption("--fuzz-seed", type=int, metavar="N", help="seed of the search (default: a new one each run)")
    group.addoption("--fuzz-watchdog", metavar="TIME", help="silence that counts as a hang (default: the profile's, 20s)")
    group.addoption("--reports-dir", type=Path, default=PROJECT / "reports" / "out", metavar="DIR", help="where reports go")
    group.addoption("--fuzz-cases", type=int, metavar="N", help="Cases after which nothing more is drawn (default: no limit)")
    group.addoption(
        "--known-issues", type=Path, default=PROJECT / "fuzz" / "known_issues.toml", metavar="FILE", help="defects that do not fail a run"
    )
    group.addoption("--corpus", type=Path, default=PROJECT / "fuzz" / "corpus", metavar="DIR", help="Cases that are run first")


class CampaignHandle:
    """What a property gets: what contradicts it.

    Args:
        session: started.
        name: of the property.
        search: the properties that are searched together, and their part of the time that is left; None if that is done.
    """

    def __init__(self, session: Session, name: str, search: tuple[list[Property], float] | None) -> None:
        self._session, self._name, self._search = session, name, search

    def findings(self) -> list[Finding]:
        """The new defects that Cases of this property show, verified and written.

        The first property that asks waits for the search, which draws for all of them in turn. It also gets what was not
        drawn: a Case of the corpus that fails in a new way.
        """
        fresh = self._searched()
        of_nobody = [finding for finding in fresh if not self._session.drawn_for(finding)]
        return [*of_nobody, *(finding for finding in self._session.findings if self._session.drawn_for(finding) == self._name)]

    def _searched(self) -> list[Finding]:
        """Search, if that is not done yet, and wait for the confirmations."""
        if self._search is None:
            return []
        with _harness_errors_end_the_run():
            self._session.explore(*self._search)
            return self._session.finish()


@contextlib.contextmanager
def _harness_errors_end_the_run() -> Iterator[None]:
    """A harness that cannot go on is not a finding: it ends pytest with the status of an internal error."""
    try:
        yield
    except (HarnessError, ReportsError, OSError) as error:
        pytest.exit(f"the fuzzer could not go on: {error}", returncode=pytest.ExitCode.INTERNAL_ERROR)


def options_of(config: pytest.Config) -> Options:
    """The options, checked.

    Raises:
        pytest.UsageError: one of them cannot be used, in one sentence.
    """
    try:
        most_cases = config.getoption("--fuzz-cases")
        if most_cases is not None and most_cases < 1:
            raise pytest.UsageError(f"--fuzz-cases is {most_cases}, not a whole number above 0")
        profile = profile_of(config)
        watchdog = config.getoption("--fuzz-watchdog")
        return Options(
            device=config.getoption("--fuzz-device"),
            budget=budget_of(config),
            seed=seed_of(config),
            reports=reports_of(config),
            known=load(config.getoption("--known-issues")),
            corpus=load_corpus(config.getoption("--corpus")),
            most_cases=cases_of(config, most_cases),
            spent=spent_of(config),
            watchdog=profile.watchdog if watchdog is None else parse_duration(watchdog),
            wide=profile.wide,
            large=profile.large,
            survey=profile.survey,
            giant=profile.giant,
        )
    except (ValueError, KnownIssuesError, CorpusError) as error:
        raise pytest.UsageError(str(error)) from None


def profile_of(config: pytest.Config) -> Profile:
    """The profile of the run, which explicit options go before."""
    return PROFILES[config.getoption("--fuzz-profile")]


def budget_of(config: pytest.Config) -> float:
    """Seconds for the whole run.

    Raises:
        pytest.UsageError: the option is no duration.
    """
    budget = config.getoption("--fuzz-budget")
    try:
        return profile_of(config).budget if budget is None else parse_duration(budget)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


def _is_property(item: pytest.Item) -> bool:
    return "campaign" in getattr(item, "fixturenames", ())


def property_of(item: pytest.Item) -> Property:
    """The property that a test states.

    Raises:
        pytest.UsageError: its marker does not say what to draw.
    """
    marker = item.get_closest_marker("draws")
    if marker is None or len(marker.args) != 1:
        raise pytest.UsageError(f"{item.nodeid} uses the fixture campaign without saying what it draws: @pytest.mark.draws(cases())")
    share = marker.kwargs.get("share", 1)
    if share < 1:
        raise pytest.UsageError(f"{item.nodeid} has a share of {share}, not a whole number above 0")
    slow = marker.kwargs.get("slow", False)
    seldom = 1 if slow or profile_of(item.config).slow else RARELY
    cuda, giant = (marker.kwargs.get(name, False) for name in ("cuda", "giant"))
    return Property(item.nodeid, marker.args[0], share * seldom, slow=slow, cuda=cuda, giant=giant)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Start the session when there is something to fuzz: bad options and unusable devices end the run here."""
    _leave_out(config, items, _of_other_profiles(config, items))
    _leave_out(config, items, _slow_properties(config, items))
    properties = config.stash[_PROPERTIES] = [property_of(item) for item in items if _is_property(item)]
    fuzzing = properties or any("expired_issues" in getattr(item, "fixturenames", ()) for item in items)
    if fuzzing and not config.option.collectonly and not hasattr(config, "workerinput"):
        start_session(config)


def _slow_properties(config: pytest.Config, items: list[pytest.Item]) -> list[pytest.Item]:
    """The properties that the run has no time for."""
    if profile_of(config).slow or budget_of(config) >= LONG:
        return []
    return [item for item in items if _is_property(item) and property_of(item).slow]


def _of_other_profiles(config: pytest.Config, items: list[pytest.Item]) -> list[pytest.Item]:
    """The properties of giants in a profile without, and all others in the profile that is theirs."""
    return [item for item in items if _is_property(item) and property_of(item).giant is not profile_of(config).giant]


def _leave_out(config: pytest.Config, items: list[pytest.Item], unwanted: list[pytest.Item]) -> None:
    """Deselect properties, unless nothing else was asked for."""
    if unwanted and any(_is_property(item) and item not in unwanted for item in items):
        items[:] = [item for item in items if item not in unwanted]
        config.hook.pytest_deselected(items=unwanted)


def start_session(config: pytest.Config) -> Session:
    """Start the session; the fixture does it where nobody has, as in a worker of pytest-xdist that got a property.

    Raises:
        pytest.UsageError: an option, the device or the reports directory cannot be used.
    """
    progress, interruption = _ProgressLine(config), config.stash.setdefault(_INTERRUPTION, Interruption())

    def progressed(so_far: Progress, budget: Budget) -> None:
        interruption.check()
        progress.update(so_far, budget)

    takes_place(config)
    session = Session(options_of(config), progressed, progress.observed)
    interruption.listen()
    try:
        session.start()
    except (ReportsError, HarnessError) as error:
        session.close()
        interruption.restore()
        raise pytest.UsageError(str(error)) from None
    config.stash[_SESSION] = session
    return session


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """Say what is fuzzed, on what, and what that does not cover."""
    session = config.stash.get(_SESSION, None)
    if session is None or session.ready is None:
        return []
    system, options = session.ready.system, session.options
    profile, files = config.getoption("--fuzz-profile"), f"{len(options.known)} known issues, reports in {options.reports}"
    lines = [
        f"fuzzing bitsandbytes {system['bitsandbytes']} (torch {system['torch']}) on {where(system)}",
        f"profile {profile}, budget {options.budget:g} s, seed {options.seed}, {files}",
    ]
    return [*lines, f"note: {session.ready.note}"] if session.ready.note else lines


@pytest.fixture
def campaign(request: pytest.FixtureRequest) -> CampaignHandle:
    """The session's campaign, asked by one property."""
    config, own = request.config, property_of(request.node)
    session = config.stash.get(_SESSION, None) or start_session(config)
    if own.cuda and session.device != "cuda":
        pytest.skip("it is about GPUs, and this run has none")
    left = [one for one in config.stash[_PROPERTIES] if session.device == "cuda" or not one.cuda]
    if own not in left:
        return CampaignHandle(session, own.name, None)
    # Of a run that is not for properties alone, a worker of pytest-xdist does not know which of the others it will be given.
    together = left if runs_all(config) else [own]
    part = sum(one.share for one in together) / sum(one.share for one in left)
    config.stash[_PROPERTIES] = [one for one in left if one not in together]
    return CampaignHandle(session, own.name, (together, part))


@pytest.fixture
def expired_issues(request: pytest.FixtureRequest) -> list[KnownIssue]:
    """The rows of the known-issues file, for this release and device, whose time is up."""
    session = request.config.stash.get(_SESSION, None) or start_session(request.config)
    return session.expired


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """End the children, whatever happened."""
    fuzzing = session.config.stash.get(_SESSION, None)
    if fuzzing is not None:
        by_itself = exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
        fuzzing.close(NOTHING if by_itself else "interrupted")
        session.config.stash[_INTERRUPTION].restore()


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """The summary of the run, and its page."""
    if worker_input(config) is not None:
        return  # nobody sees it, and the controller has all of it
    try:
        ended = _ended(config, lambda text: terminalreporter.write_line(f"warning: {text}"))
    except ReportsError as error:
        terminalreporter.write_line(f"the parts of the workers could not be put together: {error}")
        return
    if ended is None:
        return
    record, findings = ended
    terminalreporter.section("fuzzing")
    for line in summary_lines(record, findings, config.getoption("--reports-dir")):
        terminalreporter.write_line(line)
    terminalreporter.write_line(page_line(config.getoption("--reports-dir")))
    for line in tell(Outcomes.of_run(record, findings), os.environ):
        terminalreporter.write_line(line)


def _ended(config: pytest.Config, warn: Warn) -> tuple[RunRecord, list[Finding]] | None:
    """The run of this process, or that of its workers; None if nothing was fuzzed."""
    session = config.stash.get(_SESSION, None)
    return gathered(config, warn) if session is None else (session.record, session.findings)


class _ProgressLine:
    """Cases, rate, findings and time left: one line that is rewritten on a terminal, now and then a line elsewhere."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._last = time.monotonic()

    def update(self, progress: Progress, budget: Budget) -> None:
        reporter = self._reporter()
        interval = TERMINAL_INTERVAL if reporter and reporter.isatty else PLAIN_INTERVAL
        if reporter is None or self._config.get_verbosity() < 0 or time.monotonic() - self._last < interval:
            return
        self._last = time.monotonic()
        rate = progress.cases / budget.elapsed
        found = f"{progress.confirmed} findings of {progress.candidates} new defects"
        text = f"{progress.cases} cases, {rate:.0f} cases/s, {found}, {max(budget.left, 0):.0f} s left"
        with self._uncaptured():
            if reporter.isatty:
                reporter.rewrite(text, erase=True)
            else:
                reporter.ensure_newline()
                reporter.write_line(text)

    def observed(self, failure: Failure) -> None:
        reporter = self._reporter()
        if reporter is None or self._config.get_verbosity() < 0:
            return
        key = failure.key
        with self._uncaptured():
            reporter.ensure_newline()
            text = f"observed after {failure.elapsed:.1f} s: {key.surface}, {key.path}: {key.symptom.value} {key.how}"
            reporter.write_line(text.rstrip())

    def _uncaptured(self) -> contextlib.AbstractContextManager[None]:
        capture = self._config.pluginmanager.get_plugin("capturemanager")
        return capture.global_and_fixture_disabled() if isinstance(capture, CaptureManager) else contextlib.nullcontext()

    def _reporter(self) -> TerminalReporter | None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        return reporter if isinstance(reporter, TerminalReporter) else None


def describe(finding: Finding) -> str:
    """What a failing entry says about a finding. A line of the library's own could be a command to a CI's runner."""
    expected, got = one_line(finding.expected), one_line(finding.got)
    return f"{title(finding)}\nexpected: {expected}\ngot:      {got}\nscript:   {finding.slug}/repro.py"
