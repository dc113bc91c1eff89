"""The sensitivity benchmark: what it plants, what it measures, and the table that it writes."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks import oracle
from benchmarks.oracle import BLOCKSIZE, FAULTS, KERNELS, ORACLES, OUTPUTS, ROWS, TERMS, Weight, measure, table
from fuzz.oracle.arms import Arm
from fuzz.oracle.expected import Arithmetic
from fuzz.oracle.tensor_core import HOPPER

SOUND = ("bits", "interval", "a-priori bound")
"""Oracles that never flag a right kernel."""
KERNEL = (Arm.SIMT, torch.float16)


@pytest.fixture(scope="module")
def flagged() -> dict[tuple[Arm, torch.dtype], dict[str, Counter[str]]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(oracle, "KERNELS", (KERNEL,))
        return measure("cpu", 1)


def test_every_kernel_whose_order_is_known_is_measured_but_those_that_do_not_exist() -> None:
    halves = {(arm, dtype) for arm in (Arm.SIMT, Arm.TENSOR_CORE) for dtype in (torch.float16, torch.bfloat16)}
    assert set(KERNELS) == halves | {(Arm.SIMT, torch.float32)}


def test_the_right_call_and_every_fault_are_measured(flagged: dict[tuple[Arm, torch.dtype], dict[str, Counter[str]]]) -> None:
    assert list(flagged) == [KERNEL]
    assert list(flagged[KERNEL]) == ["", *FAULTS]
    assert len(FAULTS) == 8


def test_a_right_call_is_not_flagged_by_what_is_sound(flagged: dict[tuple[Arm, torch.dtype], dict[str, Counter[str]]]) -> None:
    assert {name: flagged[KERNEL][""][name] for name in SOUND} == dict.fromkeys(SOUND, 0)


@pytest.mark.parametrize("fault", FAULTS)
def test_sharper_oracles_flag_what_blunter_ones_do(flagged: dict[tuple[Arm, torch.dtype], dict[str, Counter[str]]], fault: str) -> None:
    counts = flagged[KERNEL][fault]
    assert set(counts) <= set(ORACLES)
    assert max(counts.values(), default=0) <= 1
    assert counts["bits"] >= counts["interval"] >= counts["a-priori bound"]


def test_most_faults_are_seen_by_the_interval(flagged: dict[tuple[Arm, torch.dtype], dict[str, Counter[str]]]) -> None:
    """One call each; the measured rates are in `benchmarks/oracle.md`."""
    assert sum(flagged[KERNEL][fault]["bits"] for fault in FAULTS) >= 7
    assert sum(flagged[KERNEL][fault]["interval"] for fault in FAULTS) >= 4


@pytest.mark.parametrize(("arm", "dtype"), KERNELS)
def test_no_kernel_is_a_false_alarm(arm: Arm, dtype: torch.dtype) -> None:
    name, call = next(oracle._calls(Arithmetic(arm=arm, core=HOPPER), dtype, "cpu", 1))
    assert name == ""
    assert call.out.shape == (ROWS, OUTPUTS)
    assert call.out.dtype is dtype
    assert {name: ORACLES[name](call) for name in SOUND} == dict.fromkeys(SOUND, False)


@pytest.mark.parametrize("change", [lambda out: out * float("nan"), lambda out: out + 1, lambda out: -out])
def test_every_oracle_flags_what_is_far_off(change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    _, call = next(oracle._calls(Arithmetic(arm=Arm.SIMT), torch.float16, "cpu", 1))
    assert all(flags(dataclasses.replace(call, out=change(call.out))) for flags in ORACLES.values())


def test_one_last_bit_is_seen_by_the_bits_alone() -> None:
    _, call = next(oracle._calls(Arithmetic(arm=Arm.SIMT), torch.float32, "cpu", 1))
    changed = call.out.clone()
    changed[0, 0] = torch.nextafter(changed[0, 0], torch.tensor(torch.inf))
    call = dataclasses.replace(call, out=changed)
    assert {name for name, flags in ORACLES.items() if flags(call)} == {"bits"}


def some() -> tuple[Weight, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    values = torch.randn(OUTPUTS, TERMS, generator=generator, dtype=torch.float64)
    return oracle._quantized(values), torch.randn(ROWS, TERMS, generator=generator)


def weight_of(weight: Weight) -> torch.Tensor:
    return weight.table[weight.index] * weight.scale.repeat_interleave(BLOCKSIZE, dim=1)


def test_the_weight_is_quantized_to_the_nearest_codes() -> None:
    generator = torch.Generator().manual_seed(4)
    values = torch.randn(OUTPUTS, TERMS, generator=generator, dtype=torch.float64)
    weight = oracle._quantized(values)
    blocks = values.reshape(OUTPUTS, -1, BLOCKSIZE)
    assert torch.equal(weight.scale, blocks.abs().amax(-1).float())
    distance = (values - weight_of(weight).double()).abs()
    scale = weight.scale.double().repeat_interleave(BLOCKSIZE, dim=1)
    nearest = (values[..., None] - weight.table.double() * scale[..., None]).abs().amin(-1)
    assert bool((distance <= nearest + 1e-6 * scale).all())


CHANGES = {
    "one block takes its neighbour's scale": (BLOCKSIZE, 0),
    "one block's scale + 10 %": (BLOCKSIZE, 0),
    "one block's scale + 2 %": (BLOCKSIZE, 0),
    "scale index off by one": (TERMS, 0),
    "nibbles of one byte swapped": (2, 0),
    "lowest bit of one nibble": (1, 0),
    "one term dropped": (0, 1),
    "32 terms dropped": (0, 32),
}
"""Most elements of the first output's row that a fault changes, and how many terms of every row of the activation."""


@pytest.mark.parametrize("place", [0, 1, 777, TERMS - 1])
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_changes_what_it_says_in_the_first_outputs_row_alone(name: str, place: int) -> None:
    weight, x = some()
    before = weight_of(weight).clone(), x.clone()
    faulty, fed = FAULTS[name](weight, x, place)
    assert torch.equal(weight_of(weight), before[0])
    assert torch.equal(x, before[1])
    elements, terms = CHANGES[name]
    different = weight_of(faulty) != before[0]
    assert not bool(different[1:].any())
    assert int(different.sum()) <= elements
    assert (fed != x).sum(-1).tolist() == [terms] * ROWS
    assert elements == 0 or name.startswith("nibbles") or bool(different.any())
    assert elements in {0, TERMS} or _near(different[0], place)
    assert terms == 0 or _near((fed != x)[0], place)


def _near(different: torch.Tensor, place: int) -> bool:
    """Whether what differs lies in the block of a place."""
    places = different.nonzero().flatten() // BLOCKSIZE
    return bool((places == place // BLOCKSIZE).all())


def rows_of(text: str) -> dict[str, list[str]]:
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}


def test_the_table_has_a_row_for_every_fault_and_a_column_for_every_oracle() -> None:
    counts = {name: Counter({"bits": 2, "interval": 1}) for name in FAULTS}
    text = table({KERNEL: {"": Counter({"allclose(1e-2, 1e-2)": 1}), **counts}}, 4, "a device for tests")
    rows = rows_of(text)
    assert rows["fault"] == list(ORACLES)
    assert rows["*none*"] == ["0", "0", "0", "0", "25"]
    for name in FAULTS:
        assert rows[name] == ["50", "25", "0", "0", "0"]
    assert rows["**all faults**"] == ["**50**", "**25**", "**0**", "**0**", "**0**"]
    assert "## simt, float16" in text
    assert f"Percentage of 4 calls that are flagged; torch {torch.__version__}, a device for tests, " in text


def test_the_table_says_what_was_measured() -> None:
    text = table({}, 1, "CPU")
    assert text.startswith("# Sensitivity of the oracle\n\nEvery call multiplies 8 rows")
    assert "\n\n\n" not in text


def test_the_command_writes_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle, "KERNELS", ((Arm.TENSOR_CORE, torch.bfloat16),))
    target = tmp_path / "oracle.md"
    monkeypatch.setattr("sys.argv", ["oracle", "--repeats", "1", "--into", str(target)])
    oracle.main()
    text = target.read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["tensor_core, bfloat16"]
    rows = rows_of(text)
    assert set(FAULTS) <= set(rows)
    assert rows["*none*"][: len(SOUND)] == ["0"] * len(SOUND)


def test_the_committed_table_is_of_these_faults_kernels_and_oracles_and_has_no_false_alarm() -> None:
    text = (Path(oracle.__file__).parent / "oracle.md").read_text(encoding="utf-8")
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert set(titles) == {f"{arm.value}, {str(dtype).removeprefix('torch.')}" for arm, dtype in KERNELS}
    for part in text.split("\n## ")[1:]:
        rows = rows_of(part)
        assert rows["fault"] == list(ORACLES)
        assert set(rows) == {"fault", "---", "*none*", *FAULTS, "**all faults**"}
        assert rows["*none*"][: len(SOUND)] == ["0"] * len(SOUND)
