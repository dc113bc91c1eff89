"""Scripts about the numbers of `quantize_4bit`: they see what the judge sees, and nothing in a right library."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fuzz.engine.calls import Prepared
from fuzz.engine.judge_quantize import judge_quantized
from fuzz.engine.runner import QUANTIZE_PATH
from fuzz.engine.verdict import PathVerdict, Symptom
from fuzz.selfcheck.faults_quantize import FAULTS
from reports.finding import Finding
from reports.script import write_script
from reports.script_codes import _CHECKS
from strategies import fields
from strategies.case import NON_FINITE, Case, Fill, FloatDType, Layout, Quantization, QuantType, Relation, StorageDType, Weight
from tests.fuzz.engine.subjects import prepared_of, question_on, related_case
from tests.reports.helpers import SYSTEM, finding
from tests.reports.running import alone, lint, ran, returning

NESTED_ONLY = {"offset", "outer scales", "8-bit codes"}
SIZES = [(6, 128, 64), (300, 64, 64), (5, 33, 64), (1, 1, 32), (2, 4097, 4096), (7, 96, 32)]
"""Outputs, terms, blocksize: whole blocks and not, one element, more than 256 blocks."""


def quantized_case(*, compressed: bool, size: tuple[int, int, int] = SIZES[0], fill: Fill = Fill.NORMAL) -> Case:
    outputs, terms, blocksize = size
    quantization = Quantization(blocksize=blocksize, compress_statistics=compressed)
    return Case(weight=Weight(out_features=outputs, in_features=terms, fill=fill), quantization=quantization, seed=4)


def wrong(how: str, case: Case, symptom: str = "wrong value", **changes: Any) -> Finding:
    """A finding about what `quantize_4bit` returned."""
    return finding("quantize_4bit", symptom, case, how=how, grade="definitely wrong", arms=(), model=None, **changes)


def fitting(how: str, case: Case) -> Case:
    """The Case with the kind of statistics that this way of being wrong is about."""
    nested = how in NESTED_ONLY or (how != "scales" and case.quantization.compress_statistics)
    return fields.replace(case, "quantization.compress_statistics", nested)


CORRUPTIONS = {fault.name: (fault.corrupt, fault.applies) for fault in FAULTS if fault.corrupt is not None}


def test_every_script_compiles_and_defines_its_names(tmp_path: Path) -> None:
    layouts, storages = itertools.cycle(Layout), itertools.cycle(StorageDType)
    scripts = {}
    for how, quant_type, compressed, device in itertools.product(_CHECKS, QuantType, (False, True), ("cpu", "cuda")):
        case = fitting(how, quantized_case(compressed=compressed))
        case = fields.replace(fields.replace(case, "quantization.quant_type", quant_type), "weight.layout", next(layouts))
        case = fields.replace(case, "quantization.storage", next(storages))
        name = f"{how}_{quant_type.value}_{compressed}_{device}".replace(" ", "_")
        scripts[name] = write_script(wrong(how, case, system={**SYSTEM, "device": device}))
    assert lint(scripts, tmp_path) == []


@pytest.mark.parametrize("how", _CHECKS)
@pytest.mark.parametrize("size", SIZES)
def test_a_right_library_gives_status_0(how: str, size: tuple[int, int, int]) -> None:
    for number, (quant_type, fill, compressed) in enumerate(
        itertools.product(QuantType, sorted(set(Fill) - NON_FINITE, key=str), (False, True))
    ):
        case = fitting(how, quantized_case(compressed=compressed, size=size, fill=fill))
        case = fields.replace(fields.replace(case, "quantization.quant_type", quant_type), "weight.layout", list(Layout)[number % 2])
        case = fields.replace(case, "weight.dtype", list(FloatDType)[number % 3])
        if fill is Fill.ZEROS and case.quantization.compress_statistics:
            continue  # the judge does not ask: scales of zeros may be anything
        status, output, _ = ran(wrong(how, case))
        assert status == 0, f"{case}: {output}"
        assert output.startswith("expected: ")
        assert "; 0 of " in output


def judged(prepared: Prepared) -> PathVerdict:
    return judge_quantized(question_on(QUANTIZE_PATH, prepared), prepared)


def _subjects() -> list[Prepared]:
    sizes = [(6, 128, 64), (5, 129, 64), (300, 64, 64)]
    fills = (Fill.NORMAL, Fill.ONE_HOT, Fill.INTEGERS)
    cases = [
        fields.replace(quantized_case(compressed=compressed, size=size, fill=fill), "quantization.quant_type", quant_type)
        for size, fill, compressed, quant_type in itertools.product(sizes, fills, (False, True), QuantType)
    ]
    return [prepared_of(case) for case in cases]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_what_the_judge_flags_the_script_shows(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Every planted fault of quantizing, in each of a few Cases that it shows in: status 1 with it and 0 without it."""
    corrupt, applies = CORRUPTIONS[name]
    shown = 0
    for number, prepared in enumerate(_subjects()):
        if not applies(prepared.case):
            continue
        faulty = corrupt(prepared, torch.Generator().manual_seed(number))
        verdict = judged(faulty)
        if verdict.symptom is None:
            continue
        shown += 1
        found = wrong(verdict.how, prepared.case, verdict.symptom.value, expected=verdict.expected)
        assert ran(found)[0] == 0
        with monkeypatch.context() as patch:
            returning(patch, "quantize_4bit", (faulty.packed, faulty.state))
            status, output, _ = ran(found)
        assert status == 1, f"{verdict.how}: {output}"
    assert shown >= 1


def _state(name: str, change: Callable[[torch.Tensor], torch.Tensor], prepared: Prepared) -> Prepared:
    state = prepared.own_state()
    setattr(state, name, change(getattr(state, name).clone()))
    return dataclasses.replace(prepared, state=state)


def _last_larger(values: torch.Tensor) -> torch.Tensor:
    values[-1] = torch.nextafter(values[-1], torch.tensor(torch.inf))
    return values


@pytest.mark.parametrize(
    ("how", "name"),
    [("scales", "absmax"), ("code table", "code")],
)
def test_one_unit_in_the_last_place_of_a_number_that_is_exact(monkeypatch: pytest.MonkeyPatch, how: str, name: str) -> None:
    case = quantized_case(compressed=False)
    prepared = _state(name, _last_larger, prepared_of(case))
    returning(monkeypatch, "quantize_4bit", (prepared.packed, prepared.state))
    assert judged(prepared).how == how
    status, output, _ = ran(wrong(how, case))
    assert status == 1
    count = {"scales": 12, "code table": 16}[how]
    assert f"at flat index {count - 1}; 1 of {count} are wrong" in output


def test_a_code_that_is_not_the_nearest_is_shown_with_its_element(monkeypatch: pytest.MonkeyPatch) -> None:
    case = quantized_case(compressed=False)
    prepared = prepared_of(case)
    packed = prepared.packed.clone()
    packed[5] = packed[5] ^ 0x80  # the high nibble, element 10
    returning(monkeypatch, "quantize_4bit", (packed, prepared.state))
    status, output, names = ran(wrong("codes", case))
    assert status == 1
    assert f"expected: {float(prepared.weight.flatten()[10]):.9g}\n" in output
    assert "at flat index 10; 1 of 768 are wrong" in output
    assert names["wrong"].nonzero().flatten().tolist() == [10]


@pytest.mark.parametrize(("factor", "status"), [(1 + 2**-24, 0), (1.001, 1)])
def test_the_mean_of_scales_may_be_off_by_the_roundings_of_a_sum(monkeypatch: pytest.MonkeyPatch, factor: float, status: int) -> None:
    case = quantized_case(compressed=True)
    prepared = _state("offset", lambda offset: offset * factor, prepared_of(case))
    returning(monkeypatch, "quantize_4bit", (prepared.packed, prepared.state))
    assert ran(wrong("offset", case))[0] == status


def test_a_refusal_is_the_defect_of_a_valid_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("invalid blocksize")

    monkeypatch.setattr("bitsandbytes.functional.quantize_4bit", refuse)
    case = quantized_case(compressed=False)
    assert ran(wrong("codes", case, ruling="valid"))[0] == 1
    assert ran(wrong("codes", case, ruling="unspecified"))[0] == 0


def test_a_way_that_is_not_known_is_a_mistake_of_the_harness() -> None:
    with pytest.raises(ValueError, match="no check of 'thresholds'"):
        write_script(wrong("thresholds", quantized_case(compressed=False)))


def test_the_judge_names_no_other_ways() -> None:
    """What `judge_quantized` can find in the numbers has a script; the 8-bit map has one of its own."""
    verdicts = [
        judged(corrupt(prepared, torch.Generator()))
        for prepared, (corrupt, applies) in itertools.product(_subjects()[:8], CORRUPTIONS.values())
        if applies(prepared.case)
    ]
    named = {verdict.how for verdict in verdicts if verdict.symptom is Symptom.WRONG_VALUE}
    assert {"scales", "codes", "code table", "offset"} <= named
    assert named <= {*_CHECKS, "8-bit map"}


LARGER_SCALES = """
from . import kernels as _kernels
_quantize = _kernels.quantize
def _larger(values, code, blocksize):
    indices, absmax = _quantize(values, code, blocksize)
    return indices, absmax * 1.001
_kernels.quantize = _larger
"""


def test_alone_the_script_tells_a_right_library_from_a_wrong_one(tmp_path: Path) -> None:
    case = related_case(Relation.NONE)
    ended = alone(wrong("scales", case), tmp_path, {"right": "", "wrong": LARGER_SCALES})
    assert ended["right"].status == 0, ended["right"].output
    assert ended["wrong"].status == 1
    assert "12 of 12 are wrong" in ended["wrong"].output
    assert "Traceback" not in ended["wrong"].output
