"""What compute-sanitizer reported of a finding's script, as a section of the issue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from reports.counted import counted
from reports.finding import Finding
from reports.sanitizer import SanitizerReport
from reports.text import cell, code, code_cell, prose

_INITCHECK: Final = (
    "initcheck reports every read of global memory that nothing has written, also of elements whose value plays no part, "
    "such as the rest of a vectorized load: by itself it does not say that a result is wrong."
)
"""NVIDIA's own libraries read like this on purpose, https://github.com/NVIDIA/cccl/issues/1790, and loads that are widened over
padding were false positives, https://docs.nvidia.com/compute-sanitizer/ReleaseNotes/index.html"""


def memory_safety(finding: Finding, *, fold: bool = False) -> str:
    """The section's text; empty if the script was not run under the sanitizer.

    Args:
        finding: the defect.
        fold: whether the table of what was reported is folded away, as GitHub can.
    """
    if not finding.sanitizer:
        return ""
    said = ", ".join(f"{prose(report.tool)} {outcome(report)}" for report in finding.sanitizer)
    lines = [f"The script above under NVIDIA's `compute-sanitizer`: {said}.", *_notes(finding.sanitizer)]
    table = _table(finding.sanitizer)
    if table and fold:
        table = f"<details><summary>What it reported</summary>\n\n{table}\n\n</details>"
    return "\n\n".join(part for part in ("\n".join(lines), table) if part)


def outcome(report: SanitizerReport) -> str:
    """What a tool came to, in a few words."""
    words = counted(report.errors, "error", none="no")
    if report.warnings:
        words += f" and {counted(report.warnings, 'warning')}"
    return words if report.complete else f"{words} before it was cut short"


def _notes(reports: Sequence[SanitizerReport]) -> Iterator[str]:
    quiet = [code(report.tool) for report in reports if report.complete and not report.failed]
    if quiet:
        yield f"Under {', '.join(quiet)} the script ended without an error, so that the defect may not have shown."
    if any(report.tool == "initcheck" and report.errors for report in reports):
        yield _INITCHECK


def _table(reports: Sequence[SanitizerReport]) -> str:
    """Each kind of error once. Of many errors a tool prints the first few only, so that the last column may be less than it counted."""
    rows = [
        f"| {cell(report.tool)} | {code_cell(error.kind)} | {code_cell(error.kernel) if error.kernel else '-'} | {error.count} |"
        for report in reports
        for error in report.reported
    ]
    return "\n".join(["| tool | what | kernel | printed |", "| --- | --- | --- | --- |", *rows]) if rows else ""
