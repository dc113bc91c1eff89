"""Seconds from the start of the command to the first verified report of a defect that a release is known to have.

python -m benchmarks.first_report --site DIR [--device cuda] [--path matmul_4bit] [--symptom "wrong shape"] [--count 5]

Cold: a new process, another seed each time, nothing known, no corpus. The default defect is that of issue #1862, for which
DIR holds bitsandbytes 0.49.2. The run is interrupted when its report is there. Exit status 1 if one found nothing in time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.runs import Run, on_site, record, stop
from benchmarks.table import conditions, header, row
from fuzz.commands.console import duration, positive, say
from fuzz.commands.sites import SiteError, given_sites
from reports.finding import Finding, read_json
from reports.run import RunRecord
from reports.schema import RecordError

POLL: Final = 0.02
"""Seconds between two looks at what a run has written."""


@dataclass(frozen=True, slots=True)
class Defect:
    """What is waited for."""

    path: str
    symptom: str

    def seen(self, reports: Path) -> bool:
        """Whether a run has announced it."""
        file = reports / "observations.jsonl"
        lines = file.read_text(encoding="utf-8").split("\n")[:-1] if file.exists() else []
        return any(self._is(json.loads(line)["verdict"]) for line in lines)

    def reported(self, reports: Path) -> bool:
        """Whether a run has written a verified finding of it."""
        findings = [Finding.from_json(read_json(file)) for file in reports.glob("findings/*/finding.json")]
        return any(self._is({"path": one.path, "symptom": one.symptom}) and one.verified and one.minimal for one in findings)

    def _is(self, verdict: dict[str, str]) -> bool:
        return (verdict["path"], verdict["symptom"]) == (self.path, self.symptom)


@dataclass(frozen=True, slots=True)
class Waited:
    """Seconds until the defect was announced and until it was reported, None if it was not; and the run until then."""

    seen: float | None
    reported: float | None
    run: RunRecord


def wait(run: Run, defect: Defect) -> Waited:
    """Start a run and wait for the report, or for its end.

    Raises:
        RecordError: the run wrote nothing.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        began = time.monotonic()
        process = run.start(folder)
        seen = reported = None
        while reported is None:
            ended = process.poll() is not None
            if seen is None and defect.seen(folder / "reports"):
                seen = time.monotonic() - began
            if defect.reported(folder / "reports"):
                reported = time.monotonic() - began
            if ended:
                break
            time.sleep(POLL)
        stop(process)
        return Waited(seen, reported, record(folder))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table."""
    options = _parser().parse_args(arguments)
    try:
        site = given_sites([options.site])[0].path if options.site else None
        environment = on_site(site)
        waited: list[Waited] = []
        for seed in range(options.count):
            run = Run(device=options.device, budget=options.budget, seed=seed, knowing=False, environment=environment)
            waited.append(one := wait(run, Defect(options.path, options.symptom)))
            if not seed:
                say(f"{options.path}, {options.symptom}; {conditions(one.run.system)}\n")
                say(header("seed", "announced (s)", "reported (s)", "Cases until then"))
            say(row(seed, _seconds(one.seen), _seconds(one.reported), one.run.cases))
    except (SiteError, RecordError) as error:
        say(f"could not measure: {error}", error=True)
        return 2
    found = [one.reported for one in waited if one.reported is not None]
    if found:
        say(f"\n{len(found)} of {len(waited)} reported; median {statistics.median(found):.1f} s, longest {max(found):.1f} s")
    return 0 if len(found) == len(waited) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_report", description="Seconds until a known defect is reported.")
    parser.add_argument("--site", type=Path, metavar="DIR", help="directory of a release (default: the one that is installed)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--path", default="matmul_4bit", help="the path that fails (default: matmul_4bit)")
    parser.add_argument("--symptom", default="wrong shape", help='how it fails (default: "wrong shape")')
    parser.add_argument("--count", type=positive, default=5, metavar="N", help="runs, with seeds 0 to N - 1 (default: 5)")
    parser.add_argument("--budget", type=duration, default=120.0, metavar="TIME", help="of a run (default: 2m)")
    return parser


def _seconds(seconds: float | None) -> str:
    return "not" if seconds is None else f"{seconds:.1f}"


if __name__ == "__main__":
    sys.exit(main())
