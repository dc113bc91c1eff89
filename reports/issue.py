"""Writes `issue.md`: the finding under the headings of upstream's bug form (System Info, Reproduction, Expected behavior)."""

from __future__ import annotations

from typing import Final

from reports.finding import Finding
from reports.text import block, cell, code, one_line

_LABELS: Final = {
    "bitsandbytes": "bitsandbytes",
    "torch": "PyTorch",
    "cuda": "CUDA (PyTorch build)",
    "python": "Python",
    "platform": "OS",
    "gpu": "GPU",
    "compute_capability": "Compute capability",
    "driver": "Driver",
    "cpu": "CPU",
}
_RULINGS: Final = {
    "valid": "The call is valid",
    "invalid": "The call is invalid and has to be refused with a Python exception",
    "unspecified": "Upstream's documents leave this call open: it may raise, but what it returns has to be right",
}


def write_issue(finding: Finding, script: str) -> str:
    """The issue text of a finding, with the text of its script."""
    sections = [
        f"# {title(finding)}",
        _what_happens(finding),
        "### System Info\n\n" + _system(finding),
        "### Reproduction\n\n" + _reproduction(finding, script),
        "### Expected behavior\n\n" + _expected(finding),
        "### Also observed\n\n" + _others(finding) if finding.others else "",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def title(finding: Finding) -> str:
    """One line: surface, symptom and what triggers it."""
    how = f" ({one_line(finding.how)})" if finding.how else ""
    when = f" when {_triggers(finding)}" if finding.triggers else ""
    return f"{finding.surface}: {finding.symptom}{how}{when}"


def _triggers(finding: Finding) -> str:
    return ", ".join(f"{name} is {value}" for name, value in finding.triggers.items())


def _what_happens(finding: Finding) -> str:
    lines = [f"Expected {code(finding.expected)}, got {code(finding.got.splitlines()[0] if finding.got else '')}."]
    weight, activation = finding.case.weight, finding.case.activation
    lines.append(
        f"Smallest input found: out_features {weight.out_features}, in_features {weight.in_features}, "
        f"activation of shape {(*activation.leading, weight.in_features)}."
    )
    if finding.error_over_bound is not None:
        lines.append(f"The error is {finding.error_over_bound:.3g} times the rounding error that the kernel's arithmetic allows.")
    lines += _kernels(finding)
    if not finding.minimal:
        lines.append("The search for a smaller input was cut short.")
    lines.append(f"It failed in {finding.reproduced} of {finding.attempts} fresh processes.")
    return "\n".join(lines)


_GRADES: Final = {
    "definitely wrong": "No rounding of this arithmetic can explain it, whatever the order of sums.",
    "arithmetic drift": "It lies outside of what the kernel's own roundings allow, though within the bound for any kernel of its kind.",
    "other bits": "It is not the number that the kernel's own arithmetic gives, in its own order, on this GPU and release.",
}


def _kernels(finding: Finding) -> list[str]:
    """How sure it is, and which kernel ran."""
    lines = [_GRADES[finding.grade]] if finding.grade in _GRADES else []
    if finding.kernels:
        names = ", ".join(code(name.split("(")[0]) for name in dict.fromkeys(finding.kernels))
        lines.append(f"Kernels that were launched: {names}.")
    elif finding.arms:
        lines.append(f"Kernel by the dispatch rule: {' or '.join(finding.arms)}.")
    return lines


def _system(finding: Finding) -> str:
    return "\n".join(f"- {label}: {one_line(finding.system[key])}" for key, label in _LABELS.items() if key in finding.system)


def _reproduction(finding: Finding, script: str) -> str:
    parts = [block(script, "python")]
    if finding.script is not None:
        status = "no exit within the time limit" if finding.script.exit_status is None else f"exit status {finding.script.exit_status}"
        parts.append(f"Output ({status}):\n\n{block(finding.script.output)}")
    return "\n\n".join(parts)


def _expected(finding: Finding) -> str:
    expected = finding.expected[:1].upper() + finding.expected[1:]
    return f"{one_line(expected)}.\n\n{_RULINGS[finding.ruling]}: {finding.source}."


def _others(finding: Finding) -> str:
    rows = "\n".join(f"| `{name}` | {cell(outcome)} |" for name, outcome in finding.others.items())
    return f"The same input on the other paths:\n\n| path | outcome |\n| --- | --- |\n{rows}"
