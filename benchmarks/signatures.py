"""Which signatures came up in which of several runs: one defect has one name, whatever the seed.

python -m benchmarks.signatures DIR...

The directories are reports of runs of one release, with different seeds and nothing known. A number is how many Cases showed a
defect in a run, "late" that it was seen there when no time was left to reduce it and to give it a name, by surface, path and
symptom. Two lines that are about one defect are a fault of the triage; to see that takes a person.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.table import header, row
from fuzz.commands.console import say
from reports.run import ReportsError
from reports.stored import StoredRun, read_run
from reports.text import one_line

LATE = "late"


def lines(runs: Sequence[StoredRun]) -> Iterator[str]:
    """The table: a line for each signature, a column for each run."""
    yield header("signature", *(_named(run) for run in runs), "runs")
    for signature in sorted({signature for run in runs for signature in run.findings if _is_named(signature, run)}):
        cells = [_seen(signature, run) for run in runs]
        yield row(one_line(signature).replace("|", ";"), *cells, sum(cell.isdecimal() for cell in cells))


def _named(run: StoredRun) -> str:
    record = run.record
    return run.root.name if record is None else f"seed {record.seed}, {record.cases} Cases"


def _seen(signature: str, run: StoredRun) -> str:
    """How many Cases showed it, `LATE`, or nothing."""
    if signature in run.findings and _is_named(signature, run):
        return str(run.findings[signature].finding.observed)
    waiting = run.record.unconfirmed if run.record is not None else []
    return LATE if any(_kind(entry["signature"]) == _kind(signature) for entry in waiting) else ""


def _is_named(signature: str, run: StoredRun) -> bool:
    """Whether it is a finding of the run, and not something that could not be reduced."""
    return run.lists(run.findings[signature].finding)


def _kind(signature: str) -> str:
    """A signature without its triggers, which what was not reduced does not have yet."""
    return signature.rpartition(" | ")[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table. Exit status: 0 printed, 2 a directory could not be read."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.signatures", description="Which signatures came up in which runs.")
    parser.add_argument("roots", nargs="+", type=Path, metavar="DIR", help="reports directories")
    try:
        runs = [read_run(root, lambda text: say(f"warning: {text}", error=True)) for root in parser.parse_args(arguments).roots]
    except ReportsError as error:
        say(f"could not read: {error}", error=True)
        return 2
    for line in lines(runs):
        say(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
