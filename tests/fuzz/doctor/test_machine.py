"""Cores, memory, driver and tools of machines that are made up."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest

from fuzz.doctor import machine as examined
from fuzz.doctor.line import Line, Mark
from fuzz.engine import driver
from fuzz.sanitizer import locate

MEMINFO = "MemTotal:       24684228 kB\nMemFree:         1000000 kB\nMemAvailable:   {kibibytes} kB\n"


def lines() -> dict[str, Line]:
    return {line.subject: line for line in examined.machine()}


def memory(folder: Path, monkeypatch: pytest.MonkeyPatch, kibibytes: int) -> Line:
    file = folder / "meminfo"
    file.write_text(MEMINFO.format(kibibytes=kibibytes), encoding="utf-8")
    monkeypatch.setattr(examined, "MEMINFO", file)
    return lines()["free memory"]


@pytest.mark.parametrize(("cores", "mark"), [(1, Mark.WARN), (2, Mark.OK), (64, Mark.OK)])
def test_a_single_core_is_a_warning(monkeypatch: pytest.MonkeyPatch, cores: int, mark: Mark) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    line = lines()["CPU cores"]
    assert (line.mark, line.text.split(";")[0]) == (mark, str(cores))


def test_memory_is_what_a_new_process_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory(tmp_path, monkeypatch, 8 * 2**20) == Line(Mark.OK, "free memory", "8.0 GiB")
    low = memory(tmp_path, monkeypatch, 3 * 2**20)
    assert (low.mark, low.text) == (Mark.WARN, "3.0 GiB; children may be killed below 4.0 GiB")


def test_a_system_that_does_not_say_how_much_memory_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examined, "MEMINFO", tmp_path / "nothing")
    assert lines()["free memory"].mark is Mark.WARN


def test_without_a_driver_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert lines()["driver"] == Line(Mark.NO, "driver", "libcuda.so.1 cannot be loaded: no NVIDIA driver")


def test_a_driver_with_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "version"
    file.write_text(
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build\nGCC version: 13.3.0\n", encoding="utf-8"
    )
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    monkeypatch.setattr(driver, "VERSION_FILE", file)
    assert lines()["driver"] == Line(Mark.OK, "driver", "580.95.05")
    file.write_text("\n", encoding="utf-8")
    assert lines()["driver"].text == "unknown"
    monkeypatch.setattr(driver, "VERSION_FILE", tmp_path / "nothing")
    assert lines()["driver"].text == "unknown"


def test_compute_sanitizer_is_looked_for_where_confirm_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locate, "find", lambda: None)
    line = lines()["compute-sanitizer"]
    assert (line.mark, line.stops) == (Mark.NO, False)
    assert line.text.startswith("neither on PATH nor in $CUDA_HOME/bin")
    monkeypatch.setattr(locate, "find", lambda: tmp_path / "compute-sanitizer")
    assert lines()["compute-sanitizer"] == Line(Mark.OK, "compute-sanitizer", str(tmp_path / "compute-sanitizer"))
