"""A known issue is listed, and does not fail the run."""

from __future__ import annotations

import json
from pathlib import Path

from .commands import fuzz_command, run

SIGNATURES = [
    f"functional.matmul_4bit | matmul_4bit | wrong shape | triggers: {field}.dtype=bfloat16" for field in ("activation", "weight")
]
"""The planted fault `shape` has two minimal Cases: the activation's own dtype, or the weight's, which it takes over."""


def test_a_run_that_finds_only_known_issues_is_green(tmp_path: Path) -> None:
    rows = [
        f'[[issue]]\nsignature = "{signature}"\nlink = "https://example.org/1"\nversions = ">=0.48"\nreason = "a test"\n'
        for signature in SIGNATURES
    ]
    file = tmp_path / "known.toml"
    file.write_text("\n".join(rows), encoding="utf-8")
    reports = tmp_path / "reports"
    ended = run([*fuzz_command(reports, budget=30, watchdog=20), "--known-issues", str(file)], faults=["shape"])
    record = json.loads((reports / "run.json").read_text(encoding="utf-8"))
    assert [(finding["state"], finding["link"]) for finding in record["findings"]] == [("known", "https://example.org/1")], ended.output
    assert ended.status == 0, ended.output
    assert "0 new findings, 1 known" in ended.output
