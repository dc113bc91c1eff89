"""How well defects are told apart: one loud fault and four quiet ones, planted in one path with one symptom.

python -m benchmarks.triage [--seeds 10] [--cases 3000] [--at-once 1]

Each seed is three runs of `pytest fuzz/` on the stand-in for bitsandbytes: nothing known, the loud fault known, all
five known. Prints what was found, and ends with exit status 1 if that is not all five, the four quiet ones, and nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.end_to_end.quiet import LOUD, QUIET, SIGNATURES, known

PROJECT: Final = Path(__file__).resolve().parent.parent
FIVE: Final = (LOUD, *QUIET)
MODES: Final[dict[str, tuple[str, ...]]] = {"nothing known": (), "loud known": (LOUD,), "all known": FIVE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One run: which planted faults were found, which known ones seen, and what else was found."""

    mode: str
    seed: int
    status: int
    cases: int
    seconds: float
    found: frozenset[str]
    seen: frozenset[str]
    strangers: tuple[str, ...]

    @property
    def right(self) -> bool:
        """Whether every fault that is not known was found, nothing else, and the exit status says so."""
        wanted = frozenset(FIVE) - frozenset(MODES[self.mode])
        return self.found == wanted and not self.strangers and self.status == (1 if wanted else 0)

    def __str__(self) -> str:
        strangers = f", and {'; '.join(self.strangers)}" if self.strangers else ""
        return (
            f"| {self.seed} | {self.mode} | {len(self.found)} new{strangers} | {len(self.seen)} | {self.status} | {self.cases} "
            f"| {self.seconds:.0f} | {'yes' if self.right else 'NO'} |"
        )


def run(mode: str, seed: int, cases: int, budget: int) -> Outcome:
    """Run the fuzzer once over the stand-in."""
    with tempfile.TemporaryDirectory() as folder:
        reports = Path(folder) / "reports"
        options = ["--fuzz-device", "cpu", "--fuzz-seed", str(seed), "--fuzz-cases", str(cases), "--fuzz-budget", f"{budget}s"]
        options += ["--known-issues", str(known(MODES[mode], Path(folder) / "known.toml")), "--corpus", str(Path(folder) / "none")]
        command = [sys.executable, "-m", "pytest", "fuzz/test_gemv_matrix.py", *options, "--reports-dir", str(reports)]
        environment = os.environ | {
            "PYTHONPATH": str(PROJECT / "tests" / "standin"),
            "PLANTED_FAULTS": ",".join(FIVE),
            "OMP_NUM_THREADS": "1",
        }
        command += ["-p", "no:cacheprovider"]
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
        record = json.loads((reports / "run.json").read_text(encoding="utf-8"))
    names = {signature: name for name, signature in SIGNATURES.items()}
    found = [entry["signature"] for entry in record["findings"]]
    return Outcome(
        mode=mode,
        seed=seed,
        status=done.returncode,
        cases=record["cases"],
        seconds=record["seconds"],
        found=frozenset(names[signature] for signature in found if signature in names),
        seen=frozenset(names[row["title"]] for row in record["known"] if row["state"] == "seen"),
        strangers=tuple(signature for signature in found if signature not in names),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all seeds and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.triage", description="Tell one loud fault and four quiet ones apart.")
    parser.add_argument("--seeds", type=int, default=10, metavar="N", help="seeds 0 to N - 1")
    parser.add_argument("--cases", type=int, default=3000, metavar="N", help="Cases of a run")
    parser.add_argument("--budget", type=int, default=900, metavar="SECONDS", help="time of a run, which should not end it")
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="runs side by side")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES), help="what is known beforehand")
    options = parser.parse_args(arguments)
    jobs = [(mode, seed) for mode in options.modes for seed in range(options.seeds)]
    with ThreadPoolExecutor(options.at_once) as pool:
        outcomes = pool.map(lambda job: run(job[0], job[1], options.cases, options.budget), jobs)
        sys.stdout.write("| seed | known beforehand | found | known and seen | exit | cases | seconds | right |\n")
        sys.stdout.write("| --- | --- | --- | --- | --- | --- | --- | --- |\n")
        right = []
        for outcome in outcomes:
            right.append(outcome.right)
            sys.stdout.write(f"{outcome}\n")
            sys.stdout.flush()
    sys.stdout.write(f"\n{sum(right)} of {len(right)} runs right\n")
    return 0 if all(right) else 1


if __name__ == "__main__":
    sys.exit(main())
