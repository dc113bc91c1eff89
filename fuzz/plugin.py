"""The pytest side of the fuzzer: options, the `campaign` fixture, progress and summary."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from _pytest.capture import CaptureManager
from _pytest.terminal import TerminalReporter
from hypothesis.strategies import SearchStrategy

from fuzz.campaign.budget import Budget, parse_duration
from fuzz.campaign.campaign import Progress
from fuzz.campaign.corpus import CorpusError
from fuzz.campaign.corpus import load as load_corpus
from fuzz.campaign.session import Options, Session
from fuzz.engine.executor import HarnessError
from fuzz.triage.bug import Failure
from fuzz.triage.known import KnownIssue, KnownIssuesError, load
from reports.finding import Finding
from reports.issue import title
from reports.run import ReportsError
from reports.summary import summary_lines, where
from strategies.case import Case

PROJECT: Final = Path(__file__).resolve().parent.parent
TERMINAL_INTERVAL: Final = 0.5
"""Seconds between two updates of the progress line on a terminal."""
PLAIN_INTERVAL: Final = 10.0
"""Seconds between two progress lines elsewhere."""
MAX_SEED: Final = 2**32

_SESSION: Final = pytest.StashKey[Session]()
_SHARES_LEFT: Final = pytest.StashKey[list[int]]()
"""The sum of the shares of the properties that have not begun."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of a run."""
    group = parser.getgroup("fuzz", "differential fuzzing of bitsandbytes' 4-bit kernels")
    group.addoption("--fuzz-device", choices=("auto", "cpu", "cuda"), default="auto", help="device to run on (default: auto)")
    group.addoption("--fuzz-budget", default="60s", metavar="TIME", help="time for the whole run: 30s, 10m, 2h (default: 60s)")
    group.addoption("--fuzz-seed", type=int, metavar="N", help="seed of the search (default: a new one each run)")
    group.addoption("--fuzz-watchdog", default="20s", metavar="TIME", help="silence that counts as a hang (default: 20s)")
    group.addoption("--reports-dir", type=Path, default=PROJECT / "reports" / "out", metavar="DIR", help="where reports go")
    group.addoption("--fuzz-cases", type=int, metavar="N", help="Cases after which nothing more is drawn (default: no limit)")
    group.addoption(
        "--known-issues", type=Path, default=PROJECT / "fuzz" / "known_issues.toml", metavar="FILE", help="defects that do not fail a run"
    )
    group.addoption("--corpus", type=Path, default=PROJECT / "fuzz" / "corpus", metavar="DIR", help="Cases that are run first")


class CampaignHandle:
    """What a property gets: searches its Cases, then fails once for each new finding."""

    def __init__(self, session: Session, share: float) -> None:
        self._session, self._share = session, share

    def explore(self, strategy: SearchStrategy[Case]) -> None:
        """Draw from `strategy` until this property's share of the budget is used up."""
        with _harness_errors_end_the_run():
            self._session.explore(strategy, self._share)

    def findings(self) -> list[Finding]:
        """Verify and write what was found; the findings that are not known."""
        with _harness_errors_end_the_run():
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
        seed, most_cases = config.getoption("--fuzz-seed"), config.getoption("--fuzz-cases")
        if most_cases is not None and most_cases < 1:
            raise pytest.UsageError(f"--fuzz-cases is {most_cases}, not a whole number above 0")
        return Options(
            device=config.getoption("--fuzz-device"),
            budget=parse_duration(config.getoption("--fuzz-budget")),
            seed=secrets.randbelow(MAX_SEED) if seed is None else seed,
            reports=config.getoption("--reports-dir"),
            known=load(config.getoption("--known-issues")),
            corpus=load_corpus(config.getoption("--corpus")),
            most_cases=most_cases,
            watchdog=parse_duration(config.getoption("--fuzz-watchdog")),
        )
    except (ValueError, KnownIssuesError, CorpusError) as error:
        raise pytest.UsageError(str(error)) from None


def _is_property(item: pytest.Item) -> bool:
    return "campaign" in getattr(item, "fixturenames", ())


def _share(item: pytest.Item) -> int:
    """The property's share of the run: 1, or what its marker says."""
    marker = item.get_closest_marker("share")
    return 1 if marker is None else int(marker.args[0])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Start the session when there is something to fuzz: bad options and unusable devices end the run here."""
    properties = [item for item in items if _is_property(item)]
    config.stash[_SHARES_LEFT] = [sum(_share(item) for item in properties)]
    fuzzing = properties or any("expired_issues" in getattr(item, "fixturenames", ()) for item in items)
    if fuzzing and not config.option.collectonly and not hasattr(config, "workerinput"):
        start_session(config)


def start_session(config: pytest.Config) -> Session:
    """Start the session; the fixture does it where nobody has, as in a worker of pytest-xdist that got a property.

    Raises:
        pytest.UsageError: an option, the device or the reports directory cannot be used.
    """
    progress = _ProgressLine(config)
    session = Session(options_of(config), progress.update, progress.observed)
    try:
        session.start()
    except (ReportsError, HarnessError) as error:
        session.close()
        raise pytest.UsageError(str(error)) from None
    config.stash[_SESSION] = session
    return session


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """Say what is fuzzed, on what, and what that does not cover."""
    session = config.stash.get(_SESSION, None)
    if session is None or session.ready is None:
        return []
    system, options = session.ready.system, session.options
    lines = [
        f"fuzzing bitsandbytes {system['bitsandbytes']} (torch {system['torch']}) on {where(system)}",
        f"budget {options.budget:g} s, seed {options.seed}, {len(options.known)} known issues, reports in {options.reports}",
    ]
    return [*lines, f"note: {session.ready.note}"] if session.ready.note else lines


@pytest.fixture
def campaign(request: pytest.FixtureRequest) -> CampaignHandle:
    """The session's campaign, with this property's part of the time that is left."""
    left, share = request.config.stash[_SHARES_LEFT], _share(request.node)
    part = min(share / left[0], 1.0)
    left[0] = max(left[0] - share, 1)
    session = request.config.stash.get(_SESSION, None) or start_session(request.config)
    return CampaignHandle(session, part)


@pytest.fixture
def expired_issues(request: pytest.FixtureRequest) -> list[KnownIssue]:
    """The rows of the known-issues file, for this release and device, whose time is up."""
    session = request.config.stash.get(_SESSION, None) or start_session(request.config)
    return session.expired


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the children, whatever happened."""
    fuzzing = session.config.stash.get(_SESSION, None)
    if fuzzing is not None:
        fuzzing.close()


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """The summary of the run."""
    session = config.stash.get(_SESSION, None)
    if session is None:
        return
    terminalreporter.section("fuzzing")
    for line in summary_lines(session.record, session.findings, session.options.reports):
        terminalreporter.write_line(line)


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
    """What a failing entry says about a finding."""
    return f"{title(finding)}\nexpected: {finding.expected}\ngot:      {finding.got}\nscript:   {finding.slug}/repro.py"
