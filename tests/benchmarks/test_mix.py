"""The default mix is that of `pytest fuzz/`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.mix import default_mix, drawn

PROJECT = Path(__file__).resolve().parents[2]


def test_it_has_the_properties_that_a_run_collects() -> None:
    command = [sys.executable, "-m", "pytest", "fuzz/", "--collect-only", "-q", "-p", "no:cacheprovider"]
    said = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=True).stdout
    collected = {line.partition("::")[2] for line in said.splitlines() if "::" in line} - {"test_no_known_issue_has_expired"}
    mix = default_mix("cuda")
    assert {one.name for one in mix} == collected
    assert not any(one.slow for one in mix)
    assert {one.share for one in mix} != {1}, "some are drawn more often"
    assert {one.name for one in default_mix("cpu")} == {one.name for one in mix if not one.cuda} != collected


def test_equal_seeds_draw_the_same() -> None:
    (first, seconds), (again, _), (other, _) = drawn(3, 20, "cuda"), drawn(3, 20, "cuda"), drawn(4, 20, "cuda")
    assert len(first) == 20
    assert seconds > 0
    assert first == again != other
