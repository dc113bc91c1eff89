"""Reads the nightly workflow."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

PROJECT: Final = Path(__file__).resolve().parents[2]
FILE: Final = PROJECT / ".github" / "workflows" / "nightly.yml"

VALUES: Final = {
    "STATE": "nightly-state",
    "BUDGET": "30m",
    "SEED": "71",
    "GITHUB_REPOSITORY": "owner/name",
}
"""What variables hold when a command runs."""

_VARIABLE: Final = re.compile(r"\$\{?([A-Z_]+)\}?")


@dataclass(frozen=True, slots=True)
class Step:
    """A step, and the job that it is in."""

    job: str
    data: dict[str, Any]


def read(path: Path = FILE) -> dict[str, Any]:
    """The workflow as data."""
    data: dict[str, Any] = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    return data


def steps(workflow: dict[str, Any]) -> Iterator[Step]:
    """Every step of every job."""
    for name, job in workflow["jobs"].items():
        for step in job["steps"]:
            yield Step(name, step)


def commands(workflow: dict[str, Any]) -> Iterator[list[str]]:
    """The words after `python -m` of every line that runs a module, with the values that variables have.

    Raises:
        KeyError: a variable that nobody has given a value for here.
    """
    for step in steps(workflow):
        for line in str(step.data.get("run", "")).splitlines():
            words = shlex.split(_VARIABLE.sub(lambda found: VALUES[found[1]], line)) if "python -m" in line else []
            if words[:2] == ["python", "-m"]:
                yield words[2:]
            elif words:
                raise ValueError(f"a line that runs python in a way that is not looked at: {line}")


def clean_environment() -> dict[str, str]:
    """This process' environment without what an outer pytest leaves."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
