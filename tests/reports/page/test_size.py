"""A page does not grow with the number of Cases: 30 findings of a million Cases are less than 3 MB."""

from __future__ import annotations

import random
from pathlib import Path

from fuzz.campaign.coverage import Visited
from fuzz.campaign.throughput import MOST
from fuzz.engine.error_grid import MOST_COLUMNS, MOST_ROWS
from reports.errors import MINIMAL, WORST, ErrorGrid
from reports.finding import ScriptRun
from reports.page.write import render
from reports.space import ARMS, DTYPES, ROWS, SIZES, Space
from tests.reports.helpers import rich_finding
from tests.reports.page.runs import shown

FINDINGS = 30
CASES = 1_000_000
LIMIT = 3_000_000
LONG_SCRIPT = 10_000
"""Characters; the longest that there are."""


def grid(seed: int) -> ErrorGrid:
    """The largest grid that a verdict may carry, with as many colours and marks as a picture can have."""
    chance = random.Random(seed)  # noqa: S311
    ratios = tuple(tuple(chance.choice([None, 0.25, 0.75, 5.0, 1e5, 1e8]) for _ in range(MOST_COLUMNS)) for _ in range(MOST_ROWS))
    wrong = tuple("".join(chance.choices("x.", [1, 20], k=MOST_COLUMNS)) for _ in range(MOST_ROWS))
    return ErrorGrid(shape=(MOST_ROWS * 8, MOST_COLUMNS * 64), tile=(8, 64), ratios=ratios, wrong=wrong)


def test_thirty_findings_of_a_million_cases_are_a_small_page(tmp_path: Path) -> None:
    script = "print('a line of it')  # and a comment\n" * (LONG_SCRIPT // 40)
    errors = {MINIMAL: grid(1), WORST: grid(2)}
    ran = ScriptRun(exit_status=1, output="x" * 4000)
    findings = [rich_finding(path=f"path_{number}", errors=errors, script=ran) for number in range(FINDINGS)]
    bins = {f"{row},{column}": CASES // 289 for row in range(17) for column in range(17)}
    counts = {
        SIZES: bins,
        ROWS: {str(power): CASES // 17 for power in range(17)},
        DTYPES: {"float16": CASES},
        ARMS: {"simt or gemv": CASES},
    }
    entries = [{"signature": "s" * 300, "slug": "", "reason": "seen too late"} for _ in range(200)]
    source = render(
        shown(
            findings,
            script=script,
            cases=CASES,
            space=Space(cases=counts, failed=counts),
            coverage=Visited().coverage(),
            throughput=[[float(second), 300 * second] for second in range(MOST)],
            unconfirmed=entries,
        )
    )
    page = tmp_path / "index.html"
    page.write_text(source, encoding="utf-8")
    assert page.stat().st_size < LIMIT
    assert source.count('<details class="finding') == FINDINGS
    assert source.count("<img ") == 2 * FINDINGS + 2
