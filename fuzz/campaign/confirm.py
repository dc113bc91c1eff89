"""Turns candidates into findings in the background: fresh processes, script, files. The search goes on meanwhile."""

from __future__ import annotations

import contextlib
import dataclasses
import heapq
import importlib
import os
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from statistics import fmean
from threading import Event
from typing import Final

from fuzz.campaign.campaign import CLOSING, HANG_WATCHDOG, Candidate
from fuzz.engine.verdict import ENDING, FailureKey, PathVerdict, Symptom
from fuzz.triage.extent import measure
from fuzz.triage.provoke import provoke
from fuzz.triage.verify import ATTEMPTS, Verification, run_script, verify
from reports.errors import MINIMAL, WORST
from reports.extent import Extent, Sighting, Worst
from reports.finding import Finding
from reports.run import RunDirectory
from reports.script import HANG_TIMEOUT, write_script
from strategies.case import Case

AT_ONCE: Final = max(1, min(4, (os.cpu_count() or 1) // 2))
"""Candidates that are confirmed side by side; each is a few starts of torch, which keep a core busy that the search needs."""

FEW_CORES: Final = 4
SCRIPT_STARTS: Final = 2.0 if (os.cpu_count() or 1) < FEW_CORES else 1.5
"""A script's duration in cold starts: its own, the second process of those that may die, and on few cores the search beside it."""

EXTENT_LIMIT: Final = 8.0
"""Seconds for seeing what else a defect affects. A hundred Cases that do not end the child take one or two."""

ENDING_EXTENT_LIMIT: Final = 4.0
"""The same for a failure that ends the child. On a GPU, making a CUDA context holds up whatever else runs there."""

RECENT: Final = 4
"""Confirmations by which the cost of the next one is judged."""

PROVOKE_LIMIT: Final = 30.0
"""Seconds for provoking what does not fail in every process."""


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


def _import_numpy() -> None:
    """Import numpy, if there is one, in the thread that draws.

    Writing a script imports torch, and torch numpy. Hypothesis asks at every draw whether numpy is there, and fails on one
    that another thread is just importing.
    """
    with contextlib.suppress(ImportError):
        importlib.import_module("numpy")


class Confirmation:
    """A pool of threads that confirm candidates, each in processes of its own.

    Args:
        site: device, versions and what a process costs.
        directory: where scripts and findings are written.
    """

    def __init__(self, site: Site, directory: RunDirectory) -> None:
        self._site, self._directory = site, directory
        self._pool = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="confirm")
        self._jobs: list[_Job] = []
        self._down = Event()
        self._durations: deque[float] = deque(maxlen=RECENT)

    def add(self, candidate: Candidate) -> None:
        """Begin to confirm a candidate."""
        _import_numpy()
        job = _Job(candidate)
        job.future = self._pool.submit(self._confirm, job)
        self._jobs.append(job)

    def seconds_to_finish(self, more: FailureKey | None = None) -> float:
        """Seconds that the candidates which are not confirmed yet, and `more`, will take, from what processes cost here."""
        costs = [self._cost_left(job) for job in self._jobs if not job.done]
        busy = [0.0] * AT_ONCE  # the pool takes them in order, each as soon as a thread is free
        for cost in [*costs, *([] if more is None else [self._cost(more)])]:
            heapq.heapreplace(busy, busy[0] + cost)
        return CLOSING + max(busy)

    def _cost_left(self, job: _Job) -> float:
        cost = self._cost(job.candidate.bug.key)
        return cost if job.began is None else max(cost - (time.monotonic() - job.began), 0.0)

    def _cost(self, key: FailureKey) -> float:
        site = self._site
        # The machine may have become busier than it was at the start.
        recent = fmean(self._durations) if self._durations else 0.0
        cost = max(site.start_seconds * SCRIPT_STARTS + site.fork_seconds * (ATTEMPTS + 2), recent)
        if key.symptom is not Symptom.HANG:
            return cost
        return cost + HANG_TIMEOUT + ATTEMPTS * self._watchdog(key)

    def _watchdog(self, key: FailureKey) -> float:
        return min(self._site.watchdog, 2 * HANG_WATCHDOG) if key.symptom is Symptom.HANG else self._site.watchdog

    @property
    def confirmed(self) -> int:
        """How many candidates have become verified findings so far."""
        return sum(finding.verified for finding in self._results())

    @property
    def found(self) -> list[Finding]:
        """The findings that are there so far, verified or not; what the run has learned of them since is not in them."""
        return self._results()

    @property
    def _futures(self) -> list[Future[Finding]]:
        return [job.future for job in self._jobs if job.future is not None]

    def _results(self) -> list[Finding]:
        return [future.result() for future in self._futures if future.done() and not future.cancelled() and not future.exception()]

    def finish(self) -> list[Finding]:
        """Wait for all so far, write the final counts, and return findings in the order in which they were seen.

        Can be called again after more candidates were added.

        Raises:
            HarnessError: a child could not be started again.
        """
        return [self._counted(job.candidate, job.future.result()) for job in self._jobs if job.future is not None]

    def shutdown(self) -> None:
        """End the pool; what has not begun is dropped, and what is under way is not written: the run has told what it has."""
        self._down.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def abandon(self) -> list[Finding]:
        """Drop what has not begun and return the findings that are there."""
        self.shutdown()
        return self._results()

    def _counted(self, candidate: Candidate, finding: Finding) -> Finding:
        """The finding with what the run has learned of it since."""
        bug = candidate.bug
        finding = dataclasses.replace(
            finding,
            observed=max(bug.observed, 1),
            worst=None if bug.worst is None else Worst(case=bug.worst[0], error_over_bound=bug.worst[1]),
            errors=finding.errors if bug.worst_errors is None else finding.errors | {WORST: bug.worst_errors},
            sightings=(Sighting(system=self._site.system, observed=max(bug.observed, 1)),),
        )
        if finding.script is not None:
            self._directory.write_finding(finding, write_script(finding))
        return finding

    def _confirm(self, job: _Job) -> Finding:
        began = job.began = time.monotonic()
        try:
            return self._confirm_now(job.candidate)
        finally:
            if job.candidate.bug.key.symptom is not Symptom.HANG:
                self._durations.append(time.monotonic() - began)

    def _confirm_now(self, candidate: Candidate) -> Finding:
        case, verification = self._verify(candidate)
        finding = self._finding(candidate, case, verification)
        if finding.flaky:
            key = candidate.bug.key
            finding = dataclasses.replace(finding, provoked=provoke(case, key, self._device, self._watchdog(key), seconds=PROVOKE_LIMIT))
        if not finding.reproduced or self._down.is_set():
            return finding
        try:
            script = write_script(finding)
        except ValueError:  # its kind of failure has no script: it stays unconfirmed
            return finding
        path = self._directory.write_script(finding, script)
        # One after the other: a process that is started while another thread starts one may fail with "Bad address".
        finding = dataclasses.replace(finding, script=run_script(path))
        if self._down.is_set():
            return finding
        finding = dataclasses.replace(finding, extent=self._extent(candidate, case))
        if not self._down.is_set():
            self._directory.write_finding(finding, script)
        return finding

    @property
    def _device(self) -> str:
        return self._site.system["device"]

    def _verify(self, candidate: Candidate) -> tuple[Case, Verification]:
        key = candidate.bug.key
        # What was seen first may have been the work of an earlier Case in the same process. The others are not reduced.
        cases = [candidate.reduction.case, *(spare.case for spare in list(candidate.bug.spares))]
        for case in cases:
            verification = verify(case, key, self._device, self._watchdog(key))
            if verification.reproduced:
                return case, verification
        return cases[0], Verification(0, ATTEMPTS, None, {})

    def _extent(self, candidate: Candidate, case: Case) -> Extent | None:
        bug = candidate.bug
        if case != bug.minimal or bug.key.symptom is Symptom.HANG:
            return None
        limit = ENDING_EXTENT_LIMIT if bug.key.symptom in ENDING else EXTENT_LIMIT
        return measure(bug, self._device, self._watchdog(bug.key), limit)

    def _finding(self, candidate: Candidate, case: Case, verification: Verification) -> Finding:
        verdict: PathVerdict = verification.verdict or candidate.verdict
        return Finding(
            surface=verdict.surface,
            path=verdict.path,
            symptom=candidate.bug.key.symptom.value,
            how=verdict.how,
            ruling=verdict.ruling.value,
            source=verdict.source,
            case=case,
            first_case=candidate.failure.drawn,
            triggers=candidate.bug.triggers,
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
            trials=candidate.reduction.trials,
            minimal=candidate.reduction.finished and case == candidate.bug.minimal,
            others=verification.others,
            system=self._site.system,
            errors={} if verdict.errors is None else {MINIMAL: verdict.errors},
        )
