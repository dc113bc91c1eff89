"""pytest that ends with who started it, and that Ctrl-C reaches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.end_to_end.commands import PROJECT

TEST = """
import os, pathlib, time

def test_waits():
    here = pathlib.Path({folder!r})
    (here / "new").write_text(str(os.getpid()))
    (here / "new").rename(here / "pid")
    time.sleep(60)
"""
PARENT = """
import signal, subprocess, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGINT}})  # as Ray does
subprocess.run([sys.executable, "-m", "fuzz.fleet.leashed", {file!r}, "-p", "no:cacheprovider"], start_new_session=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
@pytest.mark.parametrize("end", ["parent", "ctrl-c"])
def test_it_ends(tmp_path: Path, end: str) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(TEST.format(folder=str(tmp_path)), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    with subprocess.Popen([sys.executable, "-c", PARENT.format(file=str(file))], cwd=PROJECT, env=environment) as parent:
        number = int(wait_for(tmp_path / "pid"))
        if end == "parent":
            parent.kill()
        else:
            os.kill(number, signal.SIGINT)
        parent.wait()
        wait_for_end(number)


def wait_for(path: Path) -> str:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return path.read_text(encoding="utf-8")


def wait_for_end(number: int) -> None:
    deadline = time.monotonic() + 30
    while running(number):
        assert time.monotonic() < deadline, "it lives on"
        time.sleep(0.01)


def running(number: int) -> bool:
    """Whether there is such a process; one whose parent has not asked how it ended does not count."""
    try:
        state = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
