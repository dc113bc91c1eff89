"""A cause is named only where the triggers say it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from reports.cause import suspected_cause
from reports.extent import Extent, FieldExtent
from reports.issue import body
from tests.reports.helpers import finding

BLOCKS = Extent(fields=(FieldExtent(name="weight.in_features", trigger=True, fails=(65,), passes=(64,), rule="% blocksize != 0"),))


@pytest.mark.parametrize("layout", ["strided", "transposed", "expanded"])
def test_strides_that_are_ignored(layout: str) -> None:
    found = finding(triggers={"memory.activation": layout, "weight.dtype": "float16"})
    assert suspected_cause(found).startswith("The strides of the activation are probably ignored")
    assert f"### Suspected cause\n\n{suspected_cause(found)}\n" in body(found, "")


@pytest.mark.parametrize("symptom", ["context lost", "process died"])
def test_an_address_that_is_not_aligned(symptom: str) -> None:
    found = finding(symptom=symptom, triggers={"memory.packed": "offset"})
    assert suspected_cause(found).startswith("The packed weight is probably read in units that need an aligned address")


def test_blocks_that_span_two_rows() -> None:
    found = finding(triggers={"weight.in_features": "unaligned"}, extent=BLOCKS)
    assert suspected_cause(found).startswith("A block that spans two rows")
    fields = tuple(dataclasses.replace(item, trigger=False) for item in BLOCKS.fields)
    assert suspected_cause(dataclasses.replace(found, extent=dataclasses.replace(BLOCKS, fields=fields))) == ""


@pytest.mark.parametrize(
    ("symptom", "triggers"),
    [
        ("wrong value", {}),
        ("wrong value", {"activation.dtype": "bfloat16", "weight.out_features": "odd"}),
        ("wrong value", {"memory.activation": "guarded"}),
        ("wrong value", {"memory.activation": "offset"}),
        ("unexpected exception", {"memory.activation": "strided"}),
        ("wrong value", {"memory.activation": "strided", "memory.bias": "strided"}),
    ],
)
def test_nothing_is_guessed(symptom: str, triggers: dict[str, Any]) -> None:
    found = finding(symptom=symptom, triggers=triggers)
    assert suspected_cause(found) == ""
    assert "Suspected cause" not in body(found, "")


@pytest.mark.parametrize(("path", "symptom"), [("matmul_4bit_out", "wrong value"), ("matmul_4bit", "missing error")])
def test_rows_of_blocks_may_only_choose_another_function(path: str, symptom: str) -> None:
    """Before 0.50 they decide whether gemv is called, which writes to `out=`, or what does not."""
    assert not suspected_cause(finding(path, symptom, triggers={"weight.in_features": "unaligned"}, extent=BLOCKS))
