"""Turns candidates into findings in the background: fresh processes, script, files. The search goes on meanwhile."""

from __future__ import annotations

import dataclasses
import heapq
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from fuzz.campaign.campaign import CLOSING, HANG_WATCHDOG, Candidate, Observation
from fuzz.engine.verdict import FailureKey, Symptom
from fuzz.triage.known import KnownIssue
from fuzz.triage.reduce import Reduction
from fuzz.triage.verify import ATTEMPTS, Verification, run_script, verify
from reports.finding import Finding
from reports.run import RunDirectory
from reports.script import HANG_TIMEOUT, write_script
from strategies import fields

AT_ONCE: Final = max(1, min(4, (os.cpu_count() or 1) // 2))
"""Candidates that are confirmed side by side; each is a few starts of torch, which keep a core busy that the search needs."""

FEW_CORES: Final = 4
SCRIPT_STARTS: Final = 2.0 if (os.cpu_count() or 1) < FEW_CORES else 1.5
"""A script's duration in cold starts: its own, the second process of those that may die, and on few cores the search beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where findings are confirmed.

    Attributes:
        start_seconds: what a cold start costs here; fork_seconds: what a fresh child costs.
    """

    system: dict[str, str]
    watchdog: float
    start_seconds: float
    fork_seconds: float


@dataclass(slots=True)
class _Job:
    """A candidate in the pool; `began` is set when a thread takes it."""

    candidate: Candidate
    began: float | None = None
    future: Future[Finding] | None = None

    @property
    def done(self) -> bool:
        return self.future is not None and self.future.done()


class Confirmation:
    """A pool of threads that confirm candidates, each in processes of its own.

    Args:
        site: device, versions and what a process costs.
        directory: where scripts and findings are written.
        known: rows of the known-issues file.
    """

    def __init__(self, site: Site, directory: RunDirectory, known: tuple[KnownIssue, ...]) -> None:
        self._site, self._directory, self._known = site, directory, known
        self._pool = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="confirm")
        self._jobs: list[_Job] = []
        self._slowest = 0.0

    def add(self, candidate: Candidate) -> None:
        """Begin to confirm a candidate."""
        job = _Job(candidate)
        job.future = self._pool.submit(self._confirm, job)
        self._jobs.append(job)

    def seconds_to_finish(self, more: Observation | None = None) -> float:
        """Seconds that the candidates which are not confirmed yet, and `more`, will take, from what processes cost here."""
        costs = [self._cost_left(job) for job in self._jobs if not job.done]
        busy = [0.0] * AT_ONCE  # the pool takes them in order, each as soon as a thread is free
        for cost in [*costs, *([] if more is None else [self._cost(more)])]:
            heapq.heapreplace(busy, busy[0] + cost)
        return CLOSING + max(busy)

    def _cost_left(self, job: _Job) -> float:
        cost = self._cost(job.candidate.observation)
        return cost if job.began is None else max(cost - (time.monotonic() - job.began), 0.0)

    def _cost(self, observation: Observation) -> float:
        site = self._site
        # The machine may have become busier than it was at the start.
        cost = max(site.start_seconds * SCRIPT_STARTS + site.fork_seconds * (ATTEMPTS + 1), self._slowest)
        if observation.key.symptom is not Symptom.HANG:
            return cost
        return cost + HANG_TIMEOUT + ATTEMPTS * self._watchdog(observation.key)

    def _watchdog(self, key: FailureKey) -> float:
        return min(self._site.watchdog, 2 * HANG_WATCHDOG) if key.symptom is Symptom.HANG else self._site.watchdog

    @property
    def confirmed(self) -> int:
        """How many candidates have become verified findings so far."""
        return sum(finding.verified for finding in self._results())

    @property
    def _futures(self) -> list[Future[Finding]]:
        return [job.future for job in self._jobs if job.future is not None]

    def _results(self) -> list[Finding]:
        return [future.result() for future in self._futures if future.done() and not future.cancelled() and not future.exception()]

    def finish(self, observed: Callable[[FailureKey], int]) -> list[Finding]:
        """Wait for all so far, write the final counts, and return findings in the order in which they were seen.

        Can be called again after more candidates were added.

        Args:
            observed: how many Cases of the run failed with a key.

        Raises:
            HarnessError: a child could not be started again.
        """
        findings = [future.result() for future in self._futures]
        return [self._counted(finding, observed) for finding in findings]

    def shutdown(self) -> None:
        """End the pool; what has not begun is dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def abandon(self) -> list[Finding]:
        """Drop what has not begun and return the findings that are there."""
        self.shutdown()
        return self._results()

    def _counted(self, finding: Finding, observed: Callable[[FailureKey], int]) -> Finding:
        key = FailureKey(finding.surface, finding.path, Symptom(finding.symptom), finding.how)
        finding = dataclasses.replace(finding, observed=max(observed(key), 1))
        if finding.script is not None:
            self._directory.write_finding(finding, write_script(finding))
        return finding

    def _confirm(self, job: _Job) -> Finding:
        began = job.began = time.monotonic()
        try:
            return self._confirm_now(job.candidate)
        finally:
            if job.candidate.observation.key.symptom is not Symptom.HANG:
                self._slowest = max(self._slowest, time.monotonic() - began)

    def _confirm_now(self, candidate: Candidate) -> Finding:
        observation, reduction, verification = self._verify(candidate)
        finding = self._finding(observation, reduction, verification)
        if not finding.reproduced:
            return finding
        try:
            script = write_script(finding)
        except ValueError:  # its kind of failure has no script: it stays unconfirmed
            return finding
        path = self._directory.write_script(finding, script)
        finding = dataclasses.replace(finding, script=run_script(path))
        self._directory.write_finding(finding, script)
        return finding

    def _verify(self, candidate: Candidate) -> tuple[Observation, Reduction, Verification]:
        key = candidate.observation.key
        device = self._site.system["device"]
        tries = [(candidate.observation, candidate.reduction)]
        # What was seen first may have been the work of an earlier Case in the same process. The others are not reduced.
        tries += [(spare, Reduction(spare.case, 0, finished=False)) for spare in list(candidate.spares)]
        for observation, reduction in tries:
            verification = verify(reduction.case, key, device, self._watchdog(key))
            if verification.reproduced:
                return observation, reduction, verification
        return candidate.observation, candidate.reduction, Verification(0, ATTEMPTS, None, {})

    def _finding(self, observation: Observation, reduction: Reduction, verification: Verification) -> Finding:
        verdict = verification.verdict or observation.verdict
        finding = Finding(
            surface=verdict.surface,
            path=verdict.path,
            symptom=observation.key.symptom.value,
            how=verdict.how,
            ruling=verdict.ruling.value,
            source=verdict.source,
            case=reduction.case,
            first_case=observation.case,
            triggers=fields.triggers(reduction.case),
            expected=verdict.expected,
            got=verdict.got,
            error_over_bound=verdict.error_over_bound,
            grade=verdict.grade.value if verdict.grade else "",
            arms=verdict.arms,
            kernels=verdict.kernels,
            model=None if verdict.model is None else dataclasses.asdict(verdict.model),
            reproduced=verification.reproduced,
            attempts=verification.attempts,
            observed=1,
            trials=reduction.trials,
            minimal=reduction.finished,
            others=verification.others,
            system=self._site.system,
        )
        version = self._site.system["bitsandbytes"]
        row = next((row for row in self._known if row.covers(finding.signature, version)), None)
        return dataclasses.replace(finding, known=row.link) if row else finding
