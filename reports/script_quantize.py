"""The part of a script that checks what `quantize_4bit` returned: room for every element, statistics, dtype, 8-bit map."""

from __future__ import annotations

import math
from typing import Final

from reports.finding import Finding
from reports.script_codes import numbers_check

_MAP: Final = """\
# The 8-bit dynamic map (https://arxiv.org/abs/1511.04561): midpoints of 1, 2, 4, ... 64 parts of each of seven decades.
values = [0.0, 1.0]
for decade in range(7):
    for part in range(2**decade):
        value = (0.1 + 0.9 * (part + 0.5) / 2**decade) * 10.0 ** (decade - 6)
        values += [value, -value]
expected = torch.tensor(sorted(values), dtype=torch.float64)[1:]  # the CPU backend sets the lowest entry to -1
wrong = ~((state.state2.code.cpu().double()[1:] - expected).abs() <= 22 * 2**-24 * expected.abs())  # float32 linspace
print("expected: the 8-bit dynamic map")
print(f"got:      {int(wrong.sum())} other entries")
sys.exit(bool(wrong.any()))"""


def quantize_check(finding: Finding, call: list[str]) -> str:
    """Lines that make the call and exit with 1 while what it returns is wrong in the finding's way."""
    if finding.symptom == "wrong value":
        return "\n".join([*call, "", _MAP]) if finding.how == "8-bit map" else numbers_check(finding, call)
    expected, got, test = _question(finding)
    unit = " bytes" if finding.how == "packed weight too short" else ""
    return "\n".join(
        [f"print({f'expected: {expected}'!r})", *call, f"got = {got}", f'print(f"got:      {{got}}{unit}")', f"sys.exit({test})"]
    )


def _question(finding: Finding) -> tuple[str, str, str]:
    """What is expected, in words; the expression for what was got; the test that is true while it is wrong."""
    case = finding.case
    if finding.how == "blocks of statistics":
        blocks = math.ceil(case.weight.elements / case.quantization.blocksize)
        return f"{blocks} blocks of statistics", "state.absmax.numel()", f"got != {blocks}"
    if finding.how == "more statistics than blocks":
        blocks = math.ceil(case.weight.elements / case.quantization.blocksize)
        return f"no more than {blocks} blocks of statistics", "state.absmax.numel()", f"got > {blocks}"
    if finding.how == "shape of the state":
        return f"a state of shape {case.weight.stored_shape}", "tuple(state.shape)", f"got != {case.weight.stored_shape}"
    if finding.symptom == "wrong dtype":
        dtype = f"torch.{case.quantization.storage.value}"
        return f"a packed weight of {dtype}", "packed.dtype", f"got != {dtype}"
    needed = math.ceil(case.weight.elements / 2)
    words = f"a packed weight of at least {needed} bytes, two elements a byte"
    return words, "packed.numel() * packed.element_size()", f"got < {needed}"
