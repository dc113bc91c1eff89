"""The suspected cause of a defect: a sentence only where it follows from a trigger, because taking that back takes the failure away."""

from __future__ import annotations

from typing import Any, Final

from reports.finding import Finding
from reports.script_outs import WRITING

_TENSORS: Final = {
    "memory.weight": "weight",
    "memory.packed": "packed weight",
    "memory.absmax": "scales",
    "memory.activation": "activation",
    "memory.bias": "bias",
}
_STRIDED: Final = frozenset({"strided", "transposed", "expanded"})
_WRONG_NUMBERS: Final = frozenset({"wrong value", "wrong gradient"})
_ENDED: Final = frozenset({"context lost", "process died"})


def suspected_cause(finding: Finding) -> str:
    """What the triggers say about the cause; empty if that is nothing, or if several say different things."""
    causes = [cause for name, value in finding.triggers.items() if (cause := _of_memory(name, value, finding.symptom))]
    causes += _of_blocks(finding)
    return causes[0] if len(causes) == 1 else ""


def _of_memory(name: str, value: Any, symptom: str) -> str:
    """A tensor that lies in memory in another way than the dullest, when the same numbers lying there do not fail."""
    tensor = _TENSORS.get(name)
    if tensor is None:
        return ""
    if value in _STRIDED and symptom in _WRONG_NUMBERS:
        return f"The strides of the {tensor} are probably ignored: with the same numbers in contiguous memory it does not fail."
    if value == "offset" and symptom in _ENDED:
        return (
            f"The {tensor} is probably read in units that need an aligned address: it begins one element behind one, "
            "and with the same numbers at an aligned address it does not fail."
        )
    return ""


def _of_blocks(finding: Finding) -> list[str]:
    """Rows that do not end where a quantization block ends, where that makes numbers wrong and does not choose another function."""
    if finding.symptom not in _WRONG_NUMBERS or finding.path in WRITING:
        return []
    varied = () if finding.extent is None else finding.extent.fields
    if any(item.trigger and item.name == "weight.in_features" and "% blocksize != 0" in item.rule for item in varied):
        return [
            "A block that spans two rows is probably indexed as if each row began a block: with whole blocks in a row it does not fail."
        ]
    return []
