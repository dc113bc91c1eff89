"""One shard, on the machine that runs it: `pytest fuzz/` in a process of its own, and what it writes, as it comes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from fuzz.fleet.changed import Changed
from fuzz.fleet.order import News, Order
from reports.files import write_text

PROJECT: Final = Path(__file__).resolve().parents[2]
OUTPUT: Final = "output.txt"
"""What pytest prints, a file in the reports directory."""

MOST: Final = 65_536
"""Characters of one answer. Ray keeps one of more than 100 kB on the node until it is fetched, where it is lost with the node."""


class ShardRun:
    """A shard that runs. Use `close` at its end.

    Args:
        order: what to do.
        node: name of the node, for people.
        command: what runs pytest with the options behind it.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self, order: Order, node: str = "", command: tuple[str, ...] = (sys.executable, "-m", "fuzz.fleet.leashed", "fuzz/")
    ) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="bnb4-fuzz-"))
        self._place = f"{socket.gethostname()}{f', node {node}' if node else ''}"
        reports = self._scratch / "reports"
        reports.mkdir()
        self._changed = Changed(reports, MOST)
        for name, text in order.inputs.files.items():
            write_text(self._scratch / "inputs" / name, text)
        with (reports / OUTPUT).open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own arguments
                [*command, *options(order, self._scratch / "inputs", reports)],
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def news(self, *, whole: bool = False) -> News:
        """What is new since this was called before, or a part of it; the rest comes with the next calls, and the status with the last.

        Args:
            whole: whether everything is new, since an answer was lost.

        Raises:
            OSError: what the run has written cannot be read.
        """
        status = self._process.poll()  # before the files: after the end all of them are there
        files, complete = self._changed.files(whole=whole)
        return News(place=self._place, files=files, status=status if complete else None)

    def interrupt(self) -> None:
        """What Ctrl-C does: pytest ends, with a report of what was found by then."""
        self._signal(signal.SIGINT)

    def close(self) -> None:
        """Kill what still runs, and remove what it has written here."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def options(order: Order, inputs: Path, reports: Path) -> list[str]:
    """The options of the shard's pytest.

    Args:
        order: what to do.
        inputs: where the files of the order are.
        reports: where the run writes.
    """
    return [
        *("-p", "no:cacheprovider", "--fuzz-device", order.device),
        *("--fuzz-seed", str(order.seed), "--fuzz-budget", f"{order.budget:.3f}s"),
        *("--known-issues", str(inputs / order.inputs.known), "--corpus", str(inputs / order.inputs.corpus)),
        *("--reports-dir", str(reports), *order.arguments),
    ]
