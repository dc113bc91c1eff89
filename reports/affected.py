"""What a defect affects, as a section of the issue and as one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from reports.extent import Extent, FieldExtent
from reports.finding import Finding
from reports.size_wording import sizes
from reports.text import cell, code, code_cell, prose
from reports.wording import flag, label, listing, size, value
from reports.worst import worst_table
from strategies.fields import FILLS, SIZES

_LISTED: Final = 8
"""As many values are listed; of more, the first ones and the last."""
_FIRST: Final = 5

_IN_PLACE: Final = {"execution.stream": "on", "execution.mode": "in mode"}
"""What is said in place of "for" and the field's name."""


def affected(finding: Finding, *, fold: bool = False) -> str:
    """The section's text; empty if nothing is known.

    Args:
        finding: the defect.
        fold: whether the table of all that was tried is folded away, as GitHub can.
    """
    parts = [] if finding.extent is None else _extent(finding, finding.extent, fold=fold)
    return "\n\n".join(part for part in [*parts, worst_table(finding)] if part)


def sentence(finding: Finding) -> str:
    """One sentence: for what it fails, what makes no difference, and whether users of `Linear4bit` can reach it."""
    if finding.extent is None:
        return ""
    needed, told = _needed(finding, finding.extent), [*_limits(finding.extent), *_indifferent(finding.extent)]
    clauses = [*(needed or ["without any trigger"]), *told] if needed or told else ["in the minimal case"]
    reach = _reach(finding.extent)
    return f"Fails {', '.join(clauses)}{f'; {reach}' if reach else ''}."


def _needed(finding: Finding, extent: Extent) -> list[str]:
    """For what it fails. Triggers that there was no time to vary are in it by their value in the minimal Case."""
    varied = {item.name: item for item in extent.fields if item.trigger and item.fails}
    names = dict.fromkeys([*finding.triggers, *varied])
    broken = finding.triggers.get("execution.relation")
    return [
        _trigger(varied.get(name), name, finding.triggers.get(name))
        for name in names
        if name != "execution.relation" or broken != finding.how  # the relation that is broken is how it fails
    ]


def _trigger(item: FieldExtent | None, name: str, minimal: Any) -> str:
    if name in SIZES:
        return f"for {prose(size(name, minimal)) if item is None else _sizes(item)}"
    item = item or FieldExtent(name=name, trigger=True, fails=(minimal,), passes=())
    if words := flag(name, item.fails):
        return f"with {words}"
    if name in FILLS and item.passes == ("ones",):
        return f"for {label(name)} other than all ones"
    without = f" (not {_values(item.name, item.passes, 'or')})" if item.passes else ""
    if name in _IN_PLACE:
        return f"{_IN_PLACE[name]} {_values(name, item.fails)}{without}"
    return f"for {prose(label(name))} {_values(name, item.fails)}{without}"


def _sizes(item: FieldExtent) -> str:
    """Which sizes fail, with the smallest and the largest one as a measure of how far this was tried."""
    words = sizes(item.name, item.rule)
    if not words:
        without = f" (not {_values(item.name, item.passes, 'or')})" if item.passes else ""
        return f"{prose(label(item.name))} {_values(item.name, item.fails)}{without}"
    if not all(isinstance(tried, int) for tried in (*item.fails, *item.passes)) or len(item.fails) == 1:
        return words
    most = max(item.fails)
    largest = "largest tried" if most == max((*item.fails, *item.passes)) else "largest"
    return f"{words} (smallest that fails {min(item.fails)}, {largest} {most})"


def _limits(extent: Extent) -> list[str]:
    """Values of other fields with which it does not fail."""
    limits = [f"{prose(label(item.name))} {_values(item.name, item.passes, 'or')}" for item in extent.fields if _limited(item)]
    return [f"but not for {listing(limits, 'or')}"] if limits else []


def _limited(item: FieldExtent) -> bool:
    return not item.trigger and bool(item.fails and item.passes)


def _indifferent(extent: Extent) -> list[str]:
    """Fields of which several values were tried, and all failed."""
    free = [item for item in extent.fields if not item.trigger and len(item.fails) > 1 and not item.passes]
    return [f"regardless of {listing([prose(label(item.name)) for item in free])}"] if free else []


def _reach(extent: Extent) -> str:
    if extent.linear4bit == "yes":
        return "`Linear4bit` users can reach it"
    return "`Linear4bit` users cannot reach it" if extent.linear4bit.startswith("no:") else ""


def _extent(finding: Finding, extent: Extent, *, fold: bool) -> list[str]:
    table = _table(extent)
    if table and fold:
        table = f"<details><summary>Everything that was tried</summary>\n\n{table}\n\n</details>"
    return [sentence(finding), table, "\n".join(_notes(finding, extent))]


def _table(extent: Extent) -> str:
    if not extent.fields:
        return ""
    rows = [_row(item) for item in sorted(extent.fields, key=lambda item: not item.trigger)]
    return "\n".join(["| field | fails with | does not fail with | rule |", "| --- | --- | --- | --- |", *rows])


def _row(item: FieldExtent) -> str:
    name = f"**{code_cell(item.name)}** (trigger)" if item.trigger else code_cell(item.name)
    fails, passes = (cell(_listed(item.name, values)) if values else "-" for values in (item.fails, item.passes))
    return f"| {name} | {fails} | {passes} | {code_cell(item.rule) if item.rule else ''} |"


def _notes(finding: Finding, extent: Extent) -> list[str]:
    others = [code(path) for path in extent.paths if path != finding.path]
    notes = [f"Fails alike on {listing(others)}."] if others else []
    if not others and extent.complete:
        notes.append("No other path fails alike.")
    if extent.linear4bit != "yes":
        notes.append(f"Reached through `nn.Linear4bit`: {prose(extent.linear4bit)}.")
    if not extent.complete:
        notes.append("Time was up before everything was tried.")
    return notes


def _values(name: str, values: Sequence[Any], last: str = "and") -> str:
    """Values within a sentence."""
    words = [prose(value(name, item)) for item in _ordered(name, values)]
    return listing(words, last) if len(words) <= _LISTED else prose(_listed(name, values))


def _listed(name: str, values: Sequence[Any]) -> str:
    words = [value(name, item) for item in _ordered(name, values)]
    if len(words) <= _LISTED:
        return ", ".join(words)
    return f"{', '.join(words[:_FIRST])} ... {words[-1]} ({len(words)} in all)"


def _ordered(name: str, values: Sequence[Any]) -> Sequence[Any]:
    numbers = name in SIZES and all(isinstance(item, int) for item in values)
    return sorted(values) if numbers else values
