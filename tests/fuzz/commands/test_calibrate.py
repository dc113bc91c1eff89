"""`python -m fuzz calibrate`: what it writes, prints and returns, on the CPU in small shapes."""

from __future__ import annotations

import dataclasses
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from fuzz.__main__ import main
from fuzz.calibrate import grid, measure
from fuzz.calibrate.grid import Shape
from fuzz.engine import devices, library
from fuzz.engine.library import Library
from fuzz.oracle.arms import Arm
from fuzz.oracle.calibration import TABLES, Calibration, Row, find, table_path, write
from fuzz.oracle.operands import Nested

pytest.importorskip("bitsandbytes")

DEVICE, RELEASE = "cpu for tests", "0.50.2"
ARGUMENTS = ["calibrate", "--device", "cpu", "--stride", "41"]
DTYPES = ("bfloat16", "float16", "float32")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The installed bitsandbytes under a made-up device name, without the fused kernel that aborts on some CPUs; few outputs."""
    loaded = dataclasses.replace(library.inspect_library("cpu"), cpu_repack=False, device_name=DEVICE, version=RELEASE)
    monkeypatch.setattr(library, "inspect_library", lambda _: loaded)
    monkeypatch.setattr(grid, "shape_for", lambda _, blocksize: Shape(4, max(blocksize, 64), (1, 3)))
    logger = logging.getLogger("bitsandbytes")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logger.setLevel(level)


def calibrate(into: Path, *more: str) -> int:
    return main([*ARGUMENTS, "--into", str(into), *more])


def test_it_writes_a_table_that_find_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert find(DEVICE, RELEASE, tmp_path) is None
    assert calibrate(tmp_path) == 0
    table = find(DEVICE, RELEASE, tmp_path)
    assert table is not None
    assert (table.device, table.capability, table.release) == (DEVICE, "", RELEASE)
    assert [(row.arm, row.dtype) for row in table.rows] == [(arm, dtype) for arm in (Arm.LINEAR, Arm.DEQUANTIZE) for dtype in DTYPES]
    assert all(row.usable and row.nested == (Nested.SEPARATE,) for row in table.rows)
    assert sum(row.outputs for row in table.rows if row.arm is Arm.LINEAR) == 22 * 16
    assert table.system["stride"] == "41"
    assert table.system["torch"] == str(torch.__version__)
    assert len(table.system["date"]) == len("2026-01-01")
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == f"written to {table_path(DEVICE, RELEASE, tmp_path)}"


def test_the_file_is_json_that_is_written_again_alike(tmp_path: Path) -> None:
    assert calibrate(tmp_path / "deep" / "folder") == 0
    (file,) = (tmp_path / "deep" / "folder").iterdir()
    assert file.name == "cpu-for-tests_0.50.2.json"
    text = file.read_text(encoding="utf-8")
    table = Calibration.from_json_text(text)
    assert json.loads(text) == table.to_json()
    assert write(table, tmp_path).read_text(encoding="utf-8") == text


def test_a_second_run_replaces_the_table(tmp_path: Path) -> None:
    write(Calibration(device=DEVICE, capability="", release=RELEASE, system={}), tmp_path)
    assert find(DEVICE, RELEASE, tmp_path) == Calibration(device=DEVICE, capability="", release=RELEASE, system={})
    assert calibrate(tmp_path) == 0
    table = find(DEVICE, RELEASE, tmp_path)
    assert table is not None
    assert len(table.rows) == 6


def test_progress_and_table_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert calibrate(tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    progress = [line for line in lines if " settings, " in line]
    assert len(progress) == 10
    assert progress[-1] == "22 of 22 settings, 352 outputs"
    assert f"{DEVICE}, bitsandbytes {RELEASE}: 352 outputs of products judged" in lines
    rows = {tuple(line.split()[:2]): line.split()[-1] for line in lines if line.split()[0] in {"linear", "dequantize"}}
    assert set(rows) == {(arm, dtype) for arm in ("linear", "dequantize") for dtype in DTYPES}
    assert {rows["dequantize", dtype] for dtype in DTYPES} == {"bits"}
    assert {rows["linear", dtype] for dtype in DTYPES} <= {"bits", "interval"}


def _table(device: str, rows: tuple[Row, ...], release: str = RELEASE) -> Calibration:
    return Calibration(device=device, capability="9.0", release=release, system={}, rows=rows)


def _row(**changes: Any) -> Row:
    values = {"nested": (Nested.SEPARATE,), "outputs": 10, "outside_bound": 0, "outside_interval": 0, "different": 0, **changes}
    return Row(arm=Arm.DEQUANTIZE, dtype="float16", **values)


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        ((_row(),), ["compared with another: the same"]),
        ((), ["compared with another: the same"]),
        ((dataclasses.replace(_row(), arm=Arm.SIMT, different=5),), ["compared with another: the same"]),
        ((_row(outputs=99),), ["compared with another: the same"]),
        (
            (_row(different=3),),
            ["compared with another:", "  dequantize float16: interval True, bits True, scales separate; there True, False"],
        ),
        (
            (_row(different=3, outside_interval=1),),
            ["compared with another:", "  dequantize float16: interval True, bits True, scales separate; there False, False"],
        ),
        (
            (_row(nested=(Nested.FUSED,)),),
            ["compared with another:", "  dequantize float16: interval True, bits True, scales separate; there True, True"],
        ),
    ],
)
def test_what_is_otherwise_on_another_device_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: tuple[Row, ...], lines: list[str]
) -> None:
    write(_table("another", rows), tmp_path)
    write(_table("a third", (_row(different=1),), "0.49.0"), tmp_path)  # of another release, which is not compared
    assert calibrate(tmp_path) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line for line in out if line.startswith(("compared", "  "))] == lines


def _far_off(result: torch.Tensor) -> torch.Tensor:
    changed = result.clone()
    changed.view(-1)[0] = changed.abs().max() * 2 + 1
    return changed


@pytest.mark.parametrize("name", ["_MATMUL", "_DEQUANTIZE"])
def test_an_output_beyond_the_bound_is_status_1_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    path = getattr(measure, name)
    monkeypatch.setattr(measure, name, dataclasses.replace(path, run=lambda prepared: _far_off(path.run(prepared))))
    assert calibrate(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []
    captured = capsys.readouterr()
    assert captured.err.splitlines() == ["not written: these outputs are beyond what any rounding explains"]
    assert "written to" not in captured.out


def test_without_a_gpu_its_kernels_cannot_be_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(devices, "_why_no_cuda", lambda: "torch sees no CUDA device")
    assert main(["calibrate", "--device", "cuda", "--into", str(tmp_path)]) == 2
    assert list(tmp_path.iterdir()) == []
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["could not calibrate: no usable GPU: torch sees no CUDA device"]


@pytest.mark.parametrize(
    "error",
    [
        measure.DispatchError("expected ['simt'], but these kernels ran: nvjet"),
        ImportError("No module named 'bitsandbytes'"),
        ValueError("the docstring no longer lists the valid blocksizes"),
    ],
)
def test_what_keeps_it_from_measuring_is_one_sentence_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(measure, "measure", refuse)
    assert calibrate(tmp_path) == 2
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err.splitlines() == [f"could not calibrate: {error}"]


def test_the_table_of_a_gpu_has_its_compute_capability(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def system(loaded: Library) -> dict[str, str]:
        return {"bitsandbytes": loaded.version, "compute_capability": "9.0"}

    monkeypatch.setattr(library, "system_info", system)
    assert calibrate(tmp_path) == 0
    table = find(DEVICE, RELEASE, tmp_path)
    assert table is not None
    assert table.capability == "9.0"


def test_a_table_may_be_measured_on_one_device_for_several_releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert calibrate(tmp_path) == 0
    other = dataclasses.replace(library.inspect_library("cpu"), version="0.50.3")
    monkeypatch.setattr(library, "inspect_library", lambda _: other)
    assert calibrate(tmp_path) == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cpu-for-tests_0.50.2.json", "cpu-for-tests_0.50.3.json"]


def test_the_committed_tables_are_where_find_looks_and_hold_nothing_beyond_the_bound() -> None:
    files = sorted(TABLES.glob("*.json"))
    assert files
    for file in files:
        table = Calibration.from_json_text(file.read_text(encoding="utf-8"))
        assert table_path(table.device, table.release) == file
        assert find(table.device, table.release) == table
        assert not any(row.outside_bound for row in table.rows)


def test_the_default_folder_is_that_of_the_committed_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    from fuzz.commands import calibrate as command  # noqa: PLC0415

    seen: list[tuple[object, ...]] = []

    def watch(*arguments: object) -> int:
        seen.append(arguments)
        return 0

    monkeypatch.setattr(command, "calibrate", watch)
    assert main(["calibrate"]) == 0
    assert seen == [("auto", 1, TABLES)]
