"""`python -m fuzz confirm` with the real compute-sanitizer: defects of 0.50 that leave their memory are seen, and what is right is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.__main__ import main
from fuzz.commands.confirm import Outcome
from fuzz.engine.executor import Executor
from fuzz.sanitizer import locate
from reports.finding import Finding, read_json
from reports.run import RunDirectory
from reports.sanitizer import SanitizerReport
from reports.script import write_script
from strategies import fields
from strategies.case import Case, Memory
from tests.reports.helpers import SYSTEM, finding

pytestmark = pytest.mark.gpu

CORPUS = Path(__file__).resolve().parents[2] / "fuzz" / "corpus"
ODD = Case.from_json(read_json(CORPUS / "cuda-odd-out-features.json"))
"""Pairs of 16-bit outputs are stored to odd addresses: loses the context."""
EVEN = fields.replace(ODD, "weight.out_features", 128)
ONE_BIAS = fields.replace(
    fields.replace(Case.from_json(read_json(CORPUS / "cuda-strided-bias.json")), "memory.bias", Memory.EXPANDED), "weight.out_features", 64
)
"""The kernel reads 64 values from the pointer on, and of an expanded bias there is one: silently wrong."""


@pytest.fixture
def fused(cuda: Executor) -> None:
    """A GPU, the kernels of 0.50, and the sanitizer."""
    if not cuda.start().library["fused"]:
        pytest.skip("this release does not have the kernels of 0.50")
    if locate.find() is None:
        pytest.skip(f"there is no compute-sanitizer, {locate.missing()}")


def confirmed(root: Path, item: Finding, outcome: Outcome) -> SanitizerReport:
    """What memcheck reports of the script of `item`."""
    directory = RunDirectory(root)
    directory.write_finding(item, write_script(item))
    folder = directory.folder(item)
    assert main(["confirm", str(folder), "--tools", "memcheck"]) == outcome
    (report,) = Finding.from_json(read_json(folder / "finding.json")).sanitizer
    assert "### Memory safety" in (folder / "issue.md").read_text(encoding="utf-8")
    return report


def found(case: Case, symptom: str) -> Finding:
    """A finding of `case` on the GPU, as far as its script needs it."""
    return finding("matmul_4bit", symptom, case, system={**SYSTEM, "device": "cuda"})


@pytest.mark.usefixtures("fused")
@pytest.mark.parametrize(("case", "symptom", "fault"), [(ODD, "context lost", "misaligned"), (ONE_BIAS, "wrong value", "out of bounds")])
def test_what_leaves_its_memory_is_reported_with_its_kernel(tmp_path: Path, case: Case, symptom: str, fault: str) -> None:
    report = confirmed(tmp_path, found(case, symptom), Outcome.REPORTED)
    assert report.failed
    assert report.errors > 0
    first = report.reported[0]
    assert first.kind.startswith("Invalid __global__ ")
    assert first.kind.endswith(f", {fault}")
    assert "4bit" in first.kernel


@pytest.mark.usefixtures("fused")
def test_what_stays_in_its_memory_is_not(tmp_path: Path) -> None:
    report = confirmed(tmp_path, found(EVEN, "context lost"), Outcome.NOTHING_REPORTED)
    assert report == SanitizerReport(tool="memcheck", errors=0, failed=False)
