"""Tables as Markdown reads them, and the sentence about where figures come from."""

from __future__ import annotations

import datetime as dt

from benchmarks.table import conditions, header, row


def test_a_header_has_a_rule_of_as_many_cells() -> None:
    assert header("one", "two").splitlines() == ["| one | two |", "| --- | --- |"]


def test_cells_are_what_they_are_as_text() -> None:
    assert row("a", 1, 2.5) == "| a | 1 | 2.5 |"


def test_the_conditions_name_versions_device_and_date() -> None:
    said = conditions({"bitsandbytes": "0.50.2", "torch": "2.11.0", "device": "cuda", "gpu": "NVIDIA H200"})
    assert said.startswith("bitsandbytes 0.50.2, torch 2.11.0; cuda: NVIDIA H200; ")
    assert said.endswith(f"{dt.datetime.now(dt.UTC).date()}.")
