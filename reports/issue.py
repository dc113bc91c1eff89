"""Writes `issue.md`: the finding under the headings of upstream's bug form (System Info, Reproduction, Expected behavior)."""

from __future__ import annotations

from typing import Final

from reports.affected import affected
from reports.cause import suspected_cause
from reports.finding import Finding
from reports.machines import system_info
from reports.marker import marker, sightings
from reports.memory_safety import memory_safety
from reports.text import block, cell, code, code_cell, excerpt, prose, short
from reports.wording import listing, size, trigger
from strategies.fields import SIZES

_RULINGS: Final = {
    "valid": "The call is valid",
    "invalid": "The call is invalid and has to be refused with a Python exception",
    "unspecified": "Upstream's documents leave this call open: it may raise, but what it returns has to be right",
}
_GRADES: Final = {
    "definitely wrong": "No rounding of this arithmetic can explain it, whatever the order of sums.",
    "arithmetic drift": "It lies outside of what the kernel's own roundings allow, though within the bound for any kernel of its kind.",
    "other bits": "It is not the number that the kernel's own arithmetic gives, in its own order, on this GPU and release.",
}

_LONGEST_TITLE: Final = 250
"""Characters; GitHub takes 256."""


def write_issue(finding: Finding, script: str) -> str:
    """The issue text of a finding, with the text of its script: the title as a heading, and the body."""
    return f"# {prose(title(finding))}\n\n{body(finding, script)}"


def body(finding: Finding, script: str) -> str:
    """The issue text without its title. Comments at its end let a program find the issue again."""
    sections = {
        "### What is affected": affected(finding, fold=True),
        "### System Info": system_info(finding),
        "### Reproduction": _reproduction(finding, script),
        "### Expected behavior": expectation(finding),
        "### Suspected cause": suspected_cause(finding),
        "### Memory safety": memory_safety(finding, fold=True),
        "### Also observed": other_paths(finding),
    }
    parts = [f"{heading}\n\n{text}" for heading, text in sections.items() if text]
    return "\n\n".join([what_happens(finding), *parts, "\n".join([marker(finding), *sightings(finding)])]) + "\n"


def title(finding: Finding) -> str:
    """One line of plain text: surface, symptom and what triggers it."""
    how = f" ({finding.how})" if finding.how else ""
    # The relation that is broken is how it fails already.
    triggers = {name: value for name, value in finding.triggers.items() if (name, value) != ("execution.relation", finding.how)}
    sizes = listing([size(name, value) for name, value in triggers.items() if name in SIZES])
    others = listing([trigger(name, value) for name, value in triggers.items() if name not in SIZES])
    line = f"{finding.surface}: {finding.symptom}{how}{f' for {sizes}' if sizes else ''}{f' when {others}' if others else ''}"
    return short(line, _LONGEST_TITLE)


def what_happens(finding: Finding) -> str:
    """What was expected and what came, for which input, how far off, in which kernel, and how often: a sentence a line."""
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
    return "\n".join([*lines, *_certainty(finding)])


_OF_TORCH: Final = ("Memcpy", "Memset", "at::native::", "cublas")
"""Parts of the names of kernels that torch launches around those of the library."""


def _kernels(finding: Finding) -> list[str]:
    """How sure it is, and which kernel ran."""
    lines = [_GRADES[finding.grade]] if finding.grade in _GRADES else []
    if finding.kernels:
        own = [name for name in finding.kernels if not any(part in name for part in _OF_TORCH)]
        names = ", ".join(code(name.split("(")[0]) for name in dict.fromkeys(own or finding.kernels))
        lines.append(f"Kernels that were launched: {names}.")
    elif finding.arms:
        lines.append(f"Kernel by the dispatch rule: {' or '.join(prose(arm) for arm in finding.arms)}.")
    return lines


def _certainty(finding: Finding) -> list[str]:
    """In how many processes it failed, and what makes it fail more often if that is not all of them."""
    times = f"It failed in {finding.reproduced} of {finding.attempts} fresh processes"
    lines = [f"**Not verified:** {times[0].lower()}{times[1:]}, so it is flaky." if finding.flaky else f"{times}."]
    if finding.provoked:
        rates = ", ".join(f"{prose(condition)} {prose(rate)}" for condition, rate in finding.provoked.items())
        lines.append(f"Under conditions that provoke races it failed in: {rates}.")
    return lines


def _reproduction(finding: Finding, script: str) -> str:
    parts = [block(script, "python")]
    if finding.script is not None:
        status = "no exit within the time limit" if finding.script.exit_status is None else f"exit status {finding.script.exit_status}"
        parts.append(f"Output ({status}):\n\n{block(excerpt(finding.script.output))}")
    return "\n\n".join(parts)


def expectation(finding: Finding) -> str:
    """What is expected, and the document that says so."""
    return f"Expected: {prose(finding.expected)}.\n\n{_RULINGS[finding.ruling]}: {prose(finding.source)}."


def other_paths(finding: Finding) -> str:
    """What the other paths did with the minimal Case, as a table; empty if there are none."""
    if not finding.others:
        return ""
    rows = "\n".join(f"| {code_cell(name)} | {cell(outcome)} |" for name, outcome in finding.others.items())
    return f"The same input on the other paths:\n\n| path | outcome |\n| --- | --- |\n{rows}"
