"""The command line of `python -m fuzz`. Each command has tests of its own in `commands`."""

from __future__ import annotations

import pytest

from fuzz.__main__ import COMMANDS, build_parser, main


def test_a_command_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "command" in capsys.readouterr().err


def test_the_help_names_every_command() -> None:
    help_text = build_parser().format_help()
    assert all(name in help_text for name in COMMANDS)
