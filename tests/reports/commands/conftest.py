"""A stand-in for `gh` on PATH."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("gh.py")


@dataclass(frozen=True)
class Standin:
    """The stand-in's folder: what it keeps, and what it was asked."""

    folder: Path

    @property
    def issues(self) -> list[dict[str, Any]]:
        """The issues that it keeps."""
        issues: list[dict[str, Any]] = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))["issues"]
        return issues

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of every call."""
        file = self.folder / "calls.jsonl"
        return [json.loads(line)["arguments"] for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []

    def begin(self, issues: list[dict[str, Any]] | None = None, *, host: str = "github.com", fails: dict[str, int] | None = None) -> None:
        """Set what it keeps; `fails` says after how many calls a command fails."""
        state = {"issues": issues or [], "host": host, "fails": fails or {}}
        (self.folder / "state.json").write_text(json.dumps(state), encoding="utf-8")


@pytest.fixture
def gh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Standin:
    """The stand-in, alone on PATH."""
    folder = tmp_path / "gh"
    folder.mkdir()
    program = folder / "gh"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(PROGRAM))} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("GH_STANDIN", str(folder))
    monkeypatch.delenv("GH_HOST", raising=False)
    made = Standin(folder)
    made.begin()
    return made
