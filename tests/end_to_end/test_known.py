"""A known issue is listed, and does not fail the run."""

from __future__ import annotations

import json
from pathlib import Path

from strategies.case import Activation, Case, FloatDType

from .commands import FuzzRun, fuzz_command, run

SIGNATURE = "functional.matmul_4bit | matmul_4bit | wrong shape | triggers: activation.dtype=bfloat16"
ROW = f'[[issue]]\nsignature = "{SIGNATURE}"\nlink = "https://example.org/1"\nversions = ">=0.48"\nreason = "a test"\n'
CASE = Case(activation=Activation(dtype=FloatDType.BFLOAT16))
"""The smallest Case of the planted fault `shape`."""


def known_run(folder: Path, row: str, faults: tuple[str, ...]) -> FuzzRun:
    """A short run with one known issue and its Case in the corpus."""
    corpus = folder / "corpus"
    corpus.mkdir()
    (corpus / "shape.json").write_text(json.dumps(CASE.to_json()), encoding="utf-8")
    file = folder / "known.toml"
    file.write_text(row + 'cases = ["corpus/shape.json"]\n', encoding="utf-8")
    command = fuzz_command(folder / "reports", budget=30, watchdog=20)
    ended = run([*command, "--known-issues", str(file), "--corpus", str(corpus), "--fuzz-cases", "60"], faults=faults)
    return FuzzRun(ended, folder / "reports")


def states(done: FuzzRun) -> list[tuple[str, str]]:
    return [(row["state"], row["link"]) for row in done.record["known"]]


def test_a_run_that_finds_only_known_issues_is_green(tmp_path: Path) -> None:
    done = known_run(tmp_path, ROW, ("shape",))
    assert done.record["findings"] == [], done.explain("the only fault is known")
    assert states(done) == [("seen", "https://example.org/1")]
    assert done.ended.status == 0, done.explain("nothing is new")
    assert "0 new findings, 1 known" in done.ended.output


def test_a_known_issue_whose_case_passes_looks_fixed(tmp_path: Path) -> None:
    done = known_run(tmp_path, ROW, ())
    assert states(done) == [("looks fixed", "https://example.org/1")]
    assert done.ended.status == 0, done.explain("nothing was found")
    assert "looks fixed in bitsandbytes" in done.ended.output


def test_an_expired_row_is_red_and_explains_nothing(tmp_path: Path) -> None:
    done = known_run(tmp_path, ROW + "expires = 2024-01-01\n", ("shape",))
    assert done.ended.status == 1, done.explain("the row has expired")
    assert [entry["signature"] for entry in done.record["findings"]] == [SIGNATURE]
    assert "expired on 2024-01-01" in done.ended.output
