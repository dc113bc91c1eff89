"""Reports directories made by hand, as runs leave them: ended, killed, or with nothing but a script."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reports.finding import Finding
from reports.run import RunDirectory, RunRecord
from strategies.case import Case, Weight
from tests.reports.helpers import SYSTEM, finding

SCRIPT = "print('this is the script')\n"


def record(**changes: Any) -> RunRecord:
    """The record of a run that ended."""
    values: dict[str, Any] = {
        "system": SYSTEM,
        "note": "",
        "seed": 5,
        "budget": 60.0,
        "cases": 10,
        "surfaces": {"ops.gemm_4bit": 4, "nn.Linear4bit": 1},
        "paths": {"linear4bit": 1},
        "rulings": {"valid": 5},
        "children_replaced": 2,
        "child_start_seconds": 0.5,
        "seconds": 59.5,
        "stop_reason": "time",
    }
    return RunRecord(**{**values, **changes})


def observation(path: str = "gemv_4bit", symptom: str = "hang", how: str = "", case: Case | None = None) -> dict[str, Any]:
    """A line of `observations.jsonl`, with as much of the verdict as names it."""
    verdict = {"surface": f"functional.{path}", "path": path, "symptom": symptom, "how": how}
    return {"seed": 5, "case": (case or Case()).to_json(), "verdict": verdict, "number": 1, "elapsed": 0.5}


def of(item: Finding) -> dict[str, Any]:
    """What was observed before `item` was a finding."""
    return observation(item.path, item.symptom, item.how, item.first_case)


def write_run(
    root: Path,
    findings: Sequence[Finding] = (),
    observations: Sequence[dict[str, Any]] = (),
    run: RunRecord | None = None,
) -> Path:
    """A reports directory with these contents; without `run` it has no run.json."""
    directory = RunDirectory(root)
    directory.prepare()
    for item in findings:
        directory.write_finding(item, SCRIPT)
    for line in observations:
        directory.observe(line)
    if run is not None:
        directory.write_run(run)
    return root


def sized(features: int, **changes: Any) -> Finding:
    """A finding, always of one signature, whose Case has `features` rows of weight and terms."""
    case = Case(weight=Weight(out_features=features, in_features=features))
    return finding(case=case, triggers={}, model=None, **changes)


def unverified(item: Finding, **changes: Any) -> Finding:
    """The same finding, but its script did not show it."""
    assert item.script is not None
    return dataclasses.replace(item, script=dataclasses.replace(item.script, exit_status=0), **changes)


def contents(root: Path) -> dict[str, bytes]:
    """Every file below `root`."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
