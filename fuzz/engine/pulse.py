"""What a child is doing, in a file that its parent reads only if it has to: when the child has ended or is silent for too long.

A message for each call would wake the parent a dozen times a Case. Writing to a file costs a microsecond, and what was
written outlives the process.
"""

from __future__ import annotations

import json
import os
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fuzz.engine.verdict import PathVerdict

_COUNT: Final = struct.Struct("<Q")
_HEADER: Final = struct.Struct("<Qd?I")
_SLOT: Final = 2**14
"""Bytes of a sign. There are two places, written in turn, so that one of them is whole at any moment."""

_TRIES: Final = 10


@dataclass(frozen=True, slots=True)
class Sign:
    """The last sign of a child's life.

    Attributes:
        request: the number of the request that it works on.
        since: monotonic seconds, which all processes of a machine share.
        judging: whether it judges the result of a call, and is not in the call itself.
        pending: what to say of the path, should the child not come back.
    """

    request: int
    since: float
    judging: bool
    pending: PathVerdict


def beside(log: str | Path) -> Path:
    """The file of the child that prints to `log`."""
    return Path(f"{log}.pulse")


class Pulse:
    """The child's side: says what it is doing.

    Args:
        path: of the file; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._count, self._request, self._pending = 0, 0, b""

    def calls(self, request: int, pending: dict[str, Any]) -> None:
        """A path is going to be called.

        Args:
            request: the number of the request.
            pending: the verdict on the path without an outcome, as JSON data.

        Raises:
            ValueError: the verdict is too long.
        """
        self._request, self._pending = request, json.dumps(pending, allow_nan=False).encode()
        if len(self._pending) > _SLOT - _HEADER.size:
            raise ValueError(f"a pending verdict of {len(self._pending)} bytes")
        self._write(judging=False)

    def judges(self) -> None:
        """The call has returned, and its result is going to be judged."""
        self._write(judging=True)

    def _write(self, *, judging: bool) -> None:
        self._count += 1
        header = _HEADER.pack(self._request, time.monotonic(), judging, len(self._pending))
        os.pwrite(self._file, header + self._pending, _COUNT.size + self._count % 2 * _SLOT)
        os.pwrite(self._file, _COUNT.pack(self._count), 0)


def last_sign(path: Path) -> Sign | None:
    """The last sign of the child that writes to `path`; None if it has not called anything yet."""
    for _ in range(_TRIES):
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if len(data) < _COUNT.size:
            return None
        (count,) = _COUNT.unpack_from(data)
        sign = _sign(data[_COUNT.size + count % 2 * _SLOT :])
        with path.open("rb") as file:
            if file.read(_COUNT.size) == _COUNT.pack(count):  # the place that was read has not been written to meanwhile
                return sign
    return None


def _sign(slot: bytes) -> Sign | None:
    try:
        request, since, judging, length = _HEADER.unpack_from(slot)
        pending = PathVerdict.from_json(json.loads(slot[_HEADER.size : _HEADER.size + length]))
    except (struct.error, ValueError):  # half written; whoever reads tries again
        return None
    return Sign(request, since, judging, pending)
