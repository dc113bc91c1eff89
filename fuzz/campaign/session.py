"""One fuzzing session: executor, budget, reports directory and known issues, from options to findings.

The pytest plugin and the commands drive it; it knows neither.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from fuzz.campaign.budget import Budget
from fuzz.campaign.campaign import Campaign, Candidate, Progress
from fuzz.campaign.confirm import Confirmation, Site
from fuzz.campaign.corpus import left_open
from fuzz.campaign.knowledge import Knowledge
from fuzz.campaign.mixture import Property, reachable_on, resized
from fuzz.campaign.survey import survey
from fuzz.campaign.throughput import Throughput
from fuzz.engine.executor import DEFAULT_WATCHDOG, Executor, HarnessError, Ready
from fuzz.engine.verdict import FailureKey
from fuzz.triage.bug import Failure
from fuzz.triage.known import KnownIssue
from reports.events import Events
from reports.finding import Finding, signature
from reports.launches import Launches, of_all
from reports.previous import Previous
from reports.run import RunDirectory, RunRecord
from reports.unconfirmed import CUT_SHORT, kind
from strategies import fields
from strategies.case import Case

RECORD_INTERVAL: Final = 5.0
"""Seconds between two writings of `run.json` while a run goes on."""

SURVEY_SHARE: Final = 0.1
SURVEY_LIMIT: Final = 120.0
"""Part of the budget, and seconds at most, for looking which kernels were launched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a user can choose.

    Attributes:
        device: "auto", "cpu" or "cuda".
        budget: seconds for the whole run.
        reports: directory for everything that is written.
        known: rows of the known-issues file.
        corpus: Cases that are run first, by the file that they come from.
        most_cases: Cases after which nothing more is drawn; None for no such limit.
        wide, large: whether some Cases are.
        survey: whether to look at the end which kernels were launched; on a GPU.
        giant: whether there are giants among them; then there is nothing else.
        spent: seconds of the budget that are over when the session is made, where other processes began before.
    """

    device: str
    budget: float
    seed: int
    reports: Path
    known: tuple[KnownIssue, ...] = ()
    corpus: Mapping[Path, Case] = field(default_factory=dict)
    watchdog: float = DEFAULT_WATCHDOG
    most_cases: int | None = None
    wide: bool = False
    large: bool = False
    survey: bool = False
    giant: bool = False
    spent: float = 0.0


class Session:
    """A run. Use `start`, then `explore` and `finish`, once or for some properties after the other, then `close`.

    Args:
        options: what the user chose.
        on_progress: called with the progress and the budget after every Case.
        on_observation: called when a failure is seen that nothing explains.
    """

    def __init__(
        self,
        options: Options,
        on_progress: Callable[[Progress, Budget], None] = lambda progress, budget: None,  # noqa: ARG005
        on_observation: Callable[[Failure], None] = lambda failure: None,  # noqa: ARG005
    ) -> None:
        self.options = options
        self.budget = Budget(options.budget, time.monotonic() - options.spent)
        self.findings: list[Finding] = []
        self._directory = RunDirectory(options.reports)
        self._events = Events(options.reports, lambda: self.budget.elapsed)
        self._executor = Executor(options.device, options.watchdog)
        self._on_progress, self._on_observation = on_progress, on_observation
        self._work: tuple[Campaign, Confirmation] | None = None
        self._knowledge: Knowledge | None = None
        self._replayed = False
        self._unconfirmed: list[dict[str, str]] = []
        self._late: list[dict[str, str]] = []
        self._left_open: list[Case] = []
        self._observed: dict[FailureKey, Failure] = {}
        self._drawn_for: dict[str, str] = {}
        self._recorded = 0.0
        self._finished = False
        self._throughput = Throughput()
        self._previous: Previous | None = None
        self._launches = Launches()
        self._survey_seconds = 0.0  # kept for looking which kernels were launched
        self._warnings: list[str] = []
        self.ready: Ready | None = None

    def start(self) -> Ready:
        """Check the reports directory and start the first child.

        Raises:
            ReportsError: the directory cannot be written.
            HarnessError: no child can run, with the reason.
        """
        self._directory.prepare()
        self._previous = self._directory.previous()
        began = time.monotonic()
        ready = self.ready = self._executor.start()
        site = Site(
            system=ready.system,
            watchdog=self.options.watchdog,
            start_seconds=time.monotonic() - began,
            fork_seconds=ready.seconds,
        )
        knowledge = self._knowledge = Knowledge(self.options.known, ready.system)
        campaign = Campaign(self._executor, self.budget, self, knowledge.suspects)
        self._work = (campaign, Confirmation(site, self._directory))
        self._left_open = left_open(self.options.reports)
        self._events.started(ready.system, self.options.seed, self.options.budget)
        self._write_record("running")
        return ready

    def explore(self, properties: Sequence[Property], share: float = 1.0) -> None:
        """Search for what contradicts these properties. The first search begins with the corpus and with what a killed run left open.

        Args:
            properties: what to draw from.
            share: part of the time and of the Cases that is left, from 0 to 1.
        """
        campaign, _ = self._running()
        self._finished = False
        self._replay(campaign)
        if self.options.survey and self.device == "cuda":
            self._survey_seconds = share * min(SURVEY_SHARE * self.options.budget, SURVEY_LIMIT)
        until = self.budget.elapsed + max(self.budget.left, 0.0) * share - self._survey_seconds
        done, most = campaign.progress.cases, self.options.most_cases
        drawn = reachable_on(self.device, resized(properties, wide=self.options.wide, large=self.options.large))
        campaign.explore(drawn, self.options.seed, until, None if most is None else done + math.ceil(max(most - done, 0) * share))

    @property
    def device(self) -> str:
        """What is fuzzed, "cpu" or "cuda".

        Raises:
            HarnessError: the session was not started.
        """
        if self.ready is None:
            raise HarnessError("the session was not started")
        return self.ready.system["device"]

    def _replay(self, campaign: Campaign) -> None:
        if self._replayed or self._knowledge is None:
            return
        self._replayed = True
        corpus = self._knowledge.of_interest(self.options.corpus)
        results = campaign.replay(dict.fromkeys([*corpus.values(), *self._left_open]))
        self._knowledge.ran(corpus, results)

    def finish(self) -> list[Finding]:
        """Wait for the confirmations and write the run. Returns the verified findings that no earlier call returned."""
        campaign, confirmation = self._running()
        self._survey(campaign.progress)
        findings = confirmation.finish()
        before = {finding.signature for finding in self.findings}
        self._finished = True
        self.findings = [finding for finding in findings if finding.verified and finding.minimal]
        self._unconfirmed = [_unconfirmed(finding) for finding in findings if not (finding.verified and finding.minimal)]
        self._write_record(campaign.progress.stop_reason)
        return [finding for finding in self.findings if finding.signature not in before]

    def _survey(self, progress: Progress) -> None:
        """Run some of the Cases again under the profiler, in a process of its own: it changes how the library runs."""
        seconds, self._survey_seconds = self._survey_seconds, 0.0
        if not seconds:
            return
        try:
            with Executor(self.device, self.options.watchdog, spares=0) as executor:
                found = survey(progress.witnesses.take(), executor, min(seconds, max(self.budget.left, 0.0)))
        except (HarnessError, OSError) as error:
            self._warnings.append(f"which kernels were launched is not known: {error}")
        else:
            self._launches = of_all([self._launches, found])

    def close(self, unused: str = "interrupted") -> None:
        """End the children. A run that was not finished is recorded as interrupted, and what is not confirmed dropped.

        Args:
            unused: the reason to stop if nothing was ever drawn.
        """
        if self._work is not None:
            self._work[1].shutdown()
        if self._work is not None and not self._finished:
            reason = "interrupted" if self._replayed else unused
            self._work[0].progress.stop_reason = reason
            self.findings = [finding for finding in self._work[1].abandon() if finding.verified and finding.minimal]
            self._leave_open()
            self._write_record(reason)
        if self._work is not None:
            self._events.finished(self.record)
        self._executor.close()

    def drawn_for(self, finding: Finding) -> str:
        """The name of the property that the Case of a finding was drawn for; empty if it was not drawn."""
        return self._drawn_for.get(finding.signature, "")

    @property
    def record(self) -> RunRecord:
        """The run so far, as `run.json` has it."""
        return self._record(self._running()[0].progress.stop_reason)

    def observed(self, failure: Failure) -> None:
        """Write an unexplained failure to disk at once, so that a killed run leaves it."""
        self._observed.setdefault(failure.key, failure)
        self._directory.observe(
            {
                "seed": self.options.seed,
                "case": failure.case.to_json(),
                "verdict": failure.verdict.to_json(),
                "number": failure.number,
                "elapsed": round(failure.elapsed, 3),
            }
        )
        self._events.observed(failure.verdict.to_json(), failure.number)
        self._on_observation(failure)

    def progressed(self, progress: Progress) -> None:
        """Write `run.json` now and then, and tell the front end."""
        self._throughput.add(self.budget.elapsed, progress.cases)
        if self.budget.elapsed - self._recorded > RECORD_INTERVAL:
            self._write_record("running")
        progress.confirmed = self._running()[1].confirmed
        self._on_progress(progress, self.budget)

    def reduced(self, candidate: Candidate) -> None:
        """Confirm a candidate in the background."""
        self._drawn_for[candidate.bug.signature] = candidate.failure.drawn_for
        self._running()[1].add(candidate)

    def came_late(self, failure: Failure) -> None:
        """Remember a failure that there was no time to confirm: it is in `observations.jsonl` and in `run.json`."""
        self._remember(failure, "seen too late to be reduced and confirmed; a larger budget gives it time")

    def went_away(self, failure: Failure) -> None:
        """Remember a failure that did not come back: what an earlier Case left behind, or something that depends on chance."""
        self._remember(failure, "it did not come back when its Case was run again")

    def _leave_open(self) -> None:
        """Name what was announced and has come neither to a finding nor to a known defect."""
        campaign, confirmation = self._running()
        known = [bug.signature for bug in campaign.suspects.bugs if bug.known is not None]
        settled = {kind(name) for name in [*known, *(finding.signature for finding in confirmation.found)]}
        for key, failure in self._observed.items():
            if kind(signature(key.surface, key.path, key.symptom.value, key.how, {})) not in settled:
                self._remember(failure, CUT_SHORT)

    def _remember(self, failure: Failure, reason: str) -> None:
        key = failure.key
        name = signature(key.surface, key.path, key.symptom.value, key.how, fields.triggers(failure.case))
        if all(entry["kind"] != str(key) for entry in self._late):
            self._late.append({"signature": name, "slug": "", "reason": reason, "kind": str(key)})

    def seconds_to_finish(self, more: FailureKey | None = None) -> float:
        """Seconds to keep at the end for confirmations that are under way, and for one `more`."""
        return self._running()[1].seconds_to_finish(more) + self._survey_seconds

    @property
    def expired(self) -> list[KnownIssue]:
        """The rows of the known-issues file whose time is up."""
        return [] if self._knowledge is None else self._knowledge.expired

    def _running(self) -> tuple[Campaign, Confirmation]:
        if self._work is None:
            raise HarnessError("the session was not started")
        return self._work

    def _record(self, stop_reason: str) -> RunRecord:
        progress, seconds = self._running()[0].progress, round(self.budget.elapsed, 3)
        ready = self.ready
        return RunRecord(
            system=ready.system if ready else {},
            note=ready.note if ready else "",
            seed=self.options.seed,
            budget=self.options.budget,
            cases=progress.cases,
            surfaces=dict(progress.surfaces),
            paths=dict(progress.paths),
            rulings=dict(progress.rulings),
            coverage=progress.visited.coverage(ready.system["device"] if ready else "cuda", giant=self.options.giant),
            children_replaced=self._executor.replaced,
            child_start_seconds=round(ready.seconds, 3) if ready else 0.0,
            seconds=seconds,
            stop_reason=stop_reason,
            findings=[_entry(finding) for finding in self.findings],
            known=[] if self._knowledge is None else self._knowledge.entries(),
            unconfirmed=[*self._unconfirmed, *({key: entry[key] for key in ("signature", "slug", "reason")} for entry in self._late)],
            warnings=[*([] if self._knowledge is None else self._knowledge.warnings()), *self._warnings],
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            throughput=self._throughput.until(seconds, progress.cases),
            space=progress.explored.space(),
            previous=self._previous,
            launches=self._launches,
        )

    def _write_record(self, stop_reason: str) -> None:
        self._recorded = self.budget.elapsed
        record = self._record(stop_reason)
        self._directory.write_run(record)
        self._events.noted(record, self._running()[1].found)


def _entry(finding: Finding) -> dict[str, Any]:
    return {"signature": finding.signature, "slug": finding.slug, "cases": finding.observed}


def _unconfirmed(finding: Finding) -> dict[str, str]:
    """Why an observation is not a finding."""
    entry = {"signature": finding.signature, "slug": finding.slug}
    if finding.flaky:
        rates = [f"{finding.reproduced} of {finding.attempts}", *(f"{rate} ({name})" for name, rate in finding.provoked.items())]
        return entry | {"reason": "it fails in some fresh processes and not in others", "rate": ", ".join(rates)}
    if finding.verified:
        reason = "it fails in fresh processes, but came and went while it was reduced, so that there is no name for it"
    elif finding.reproduced < finding.attempts:
        reason = f"failed in {finding.reproduced} of {finding.attempts} fresh processes"
    elif finding.script is None:
        reason = "there is no script for it"
    elif finding.script.exit_status is None:
        reason = "its script did not end in time"
    else:
        reason = f"its script ended with exit status {finding.script.exit_status}, not 1"
    return entry | {"reason": reason}
