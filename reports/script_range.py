"""The part of a script that shows a result out of range, although the right result is not."""

from __future__ import annotations

import dataclasses

from reports.finding import Finding
from reports.script_reference import decode, expected_product, factors, value_check

_LARGEST = {"float16": "65504", "bfloat16": "3.38e38", "float32": "3.39e38"}


def range_check(finding: Finding, call: list[str]) -> str:
    """Lines that make the call, compute the numbers in float64 and exit with 1 if one that fits is not there.

    Raises:
        ValueError: the finding carries no error model.
    """
    if finding.model is None:
        raise ValueError(f"{finding.signature}: a range divergence without an error model")
    if finding.how == "underflow":
        # The bound without what products that fall below the range may lose: nothing else explains the rest.
        lines = value_check(dataclasses.replace(finding, model={**finding.model, "constant": 0.0}), call)
        plain = "wrong = ~((got - expected).abs() <= bound)"
        return lines.replace(plain, f"{plain} & (expected.abs() >= 2**-14)  # subnormal numbers are less precise by right")
    dtype = finding.case.activation_dtype.value
    return "\n".join(
        [
            *call,
            "",
            *decode(finding.case),
            "",
            *factors(finding),
            *expected_product(finding),
            "",
            "got = result.detach().cpu().double().reshape(expected.shape)",
            f"fits = expected.abs() + {finding.model['product']:.8g} * magnitude < {_LARGEST[dtype]}  # with the bound on all roundings",
            "wrong = fits & ~got.isfinite()",
            "worst = int(wrong.flatten().int().argmax())",
            f'print(f"expected: {{expected.flatten()[worst]:.9g}}, which {dtype} can represent")',
            'print(f"got:      {got.flatten()[worst]:.9g} at flat index {worst}; {int(wrong.sum())} of {wrong.numel()}")',
            "sys.exit(bool(wrong.any()))",
        ]
    )
