"""The minimal Case and the one with the largest error, side by side."""

from __future__ import annotations

from typing import Final

from reports.finding import Finding
from reports.text import cell
from reports.wording import label, value
from strategies.case import Case
from strategies.fields import CHOICES, SIZES, canonical, get, json_value

_ALWAYS: Final = (
    *SIZES,
    "weight.dtype",
    "activation.dtype",
    "quantization.quant_type",
    "quantization.blocksize",
    "weight.fill",
    "activation.fill",
)
"""What a maintainer needs to judge both; of other fields only those that differ are shown."""


def worst_table(finding: Finding) -> str:
    """The table; empty if no Case has a larger error than the minimal one."""
    if finding.worst is None or canonical(finding.worst.case) == canonical(finding.case):
        return ""
    cases = (finding.case, finding.worst.case)
    names = [*_ALWAYS, *(name for name in CHOICES if name not in _ALWAYS and get(cases[0], name) != get(cases[1], name))]
    ratios = [_ratio(finding.error_over_bound), _ratio(finding.worst.error_over_bound)]
    rows = [[label(name), *(_value(case, name) for case in cases)] for name in names]
    lines = [["", "smallest", "largest error"], ["---"] * 3, *rows, ["error over bound", *ratios]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _value(case: Case, name: str) -> str:
    return cell(value(name, json_value(get(case, name))))


def _ratio(error_over_bound: float | None) -> str:
    return "-" if error_over_bound is None else f"{error_over_bound:.3g}"
