"""The command line of `python -m reports`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reports import __main__ as program

PROJECT = Path(__file__).resolve().parents[3]


def test_every_command_is_in_the_help_and_in_the_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    names = [command.__name__.rpartition(".")[2] for command in program.COMMANDS]
    assert all(f"  {name} " in text and f"python -m reports {name} DIR" in (program.__doc__ or "") for name in names)


@pytest.mark.parametrize("arguments", [[], ["nonesuch"], ["page"], ["file"], ["formats"]])
def test_an_incomplete_command_is_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main(arguments)
    assert ended.value.code == 2


def test_neither_torch_nor_bitsandbytes_is_needed() -> None:
    """A machine that files findings need not be one that can find them."""
    code = "import sys, reports.__main__; sys.exit('torch' in sys.modules or 'bitsandbytes' in sys.modules or 'fuzz' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode == 0
