"""Runs scripts of findings: in this process with a kernel in bitsandbytes' place, or alone beside the stand-in."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import bitsandbytes
import pytest
import torch
from bitsandbytes import functional

from fuzz.engine.calls import Prepared
from reports.finding import Finding
from reports.script import write_script
from strategies.case import Case
from tests.fuzz.engine.subjects import CPU, Kernel
from tests.reports.helpers import execute

STANDIN: Final = Path(__file__).resolve().parents[1] / "standin" / "bitsandbytes"

OWNERS: Final[dict[str, tuple[Any, str]]] = {
    "matmul_4bit": (bitsandbytes, "matmul_4bit"),
    "gemv_4bit": (functional, "gemv_4bit"),
    "dequantize_4bit": (functional, "dequantize_4bit"),
    "dequantize_linear": (torch.nn.functional, "linear"),
    "quantize_4bit": (functional, "quantize_4bit"),
}
"""For each path the function that scripts call."""


def returning(monkeypatch: pytest.MonkeyPatch, path: str, result: Any) -> None:
    """Let the call of `path` return `result`, whatever it is given."""
    owner, name = OWNERS[path]
    monkeypatch.setattr(owner, name, lambda *_, **__: result)


def calling(monkeypatch: pytest.MonkeyPatch, path: str, case: Case, kernel: Kernel) -> None:
    """Let the call of `path` run `kernel` on what it is given, which may be other inputs than those of `case`."""

    def call(x: torch.Tensor, packed: torch.Tensor, state: Any = None, *, quant_state: Any = None, bias: Any = None) -> torch.Tensor:
        return kernel(_prepared(case, x, packed, quant_state if state is None else state, bias))

    owner, name = OWNERS[path]
    monkeypatch.setattr(owner, name, call)


def _prepared(case: Case, x: torch.Tensor, packed: torch.Tensor, state: Any, bias: torch.Tensor | None) -> Prepared:
    outputs, terms = state.shape
    changed = dataclasses.replace(
        case,
        weight=dataclasses.replace(case.weight, out_features=outputs, in_features=terms),
        quantization=dataclasses.replace(case.quantization, blocksize=state.blocksize),
        activation=dataclasses.replace(case.activation, leading=tuple(x.shape[:-1])),
        bias=bias is not None,
    )
    return Prepared(changed, CPU, torch.zeros(outputs, terms), x.detach(), bias, packed, state)


def ran(found: Finding) -> tuple[int, str, dict[str, Any]]:
    """The script of a finding, run in this process: exit status, output, names."""
    return execute(write_script(found))


def lint(scripts: Mapping[str, str], folder: Path) -> list[str]:
    """What ruff says of scripts: syntax errors, names that are not defined or not used."""
    if importlib.util.find_spec("ruff") is None:
        pytest.skip("ruff is not installed")
    for name, text in scripts.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--no-cache",
        "--select",
        "E9,F",
        "--output-format",
        "concise",
        "--quiet",
    ]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


@dataclasses.dataclass(frozen=True, slots=True)
class Alone:
    """A script that ended by itself: its status and its output."""

    status: int
    output: str


def alone(found: Finding, folder: Path, patches: Mapping[str, str]) -> dict[str, Alone]:
    """The script of a finding as `repro.py` in fresh processes at once, each beside a stand-in of its own.

    Args:
        found: the finding.
        folder: an empty folder.
        patches: by name, lines to append to the stand-in's `__init__.py`: the defect.
    """
    processes = {name: _start(write_script(found), folder / name, patch) for name, patch in patches.items()}
    return {name: _end(process) for name, process in processes.items()}


def _start(script: str, folder: Path, patch: str) -> subprocess.Popen[str]:
    shutil.copytree(STANDIN, folder / "bitsandbytes", ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "bitsandbytes" / "__init__.py").open("a", encoding="utf-8") as file:
        file.write(f"\n{patch}\n")
    (folder / "repro.py").write_text(script, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PLANTED_FAULTS"}}
    return subprocess.Popen(
        [sys.executable, "repro.py"], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _end(process: subprocess.Popen[str]) -> Alone:
    output = process.communicate(timeout=120)[0]
    return Alone(process.returncode, output)
