"""Runs `benchmarks/plain_test.py` for some time, and writes down what it tries and what it reports.

python -m benchmarks.plain_counted FILE --device cpu --seconds 120 [--first-only]

FILE gets a line of JSON for each product before it is tried, and at the end one with those that the test reports. If the
process dies, as bitsandbytes may let it, the last line says of what.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import fuzz.engine.environment  # noqa: F401 - before torch: both sides of the comparison run under the same settings
from fuzz.commands.console import duration


class _Over(KeyboardInterrupt):
    """Ends the test: Hypothesis takes any other exception for a failure."""


class _Counted:
    """The check of the plain test, which writes down what it is given, and stops when the time is over."""

    def __init__(self, check: Any, seconds: float, file: TextIO) -> None:
        self._check, self._file, self._seconds = check, file, seconds
        self._began = time.monotonic()

    def __call__(self, product: Any) -> None:
        if self.elapsed > self._seconds:
            raise _Over
        self.write("tried", plain(product))
        try:
            self._check(product)
        except Exception as error:
            error.product = product  # type: ignore[attr-defined]  # what Hypothesis reports is the last one that it raised
            raise

    @property
    def elapsed(self) -> float:
        """Seconds since this was made."""
        return time.monotonic() - self._began

    def write(self, name: str, value: Any) -> None:
        """Write a line, at once."""
        self._file.write(json.dumps({name: value, "seconds": round(self.elapsed, 3)}) + "\n")
        self._file.flush()


def plain(product: Any) -> dict[str, Any]:
    """A product as JSON."""
    return {**product._asdict(), "dtype": str(product.dtype).removeprefix("torch.")}


def search(test: Any, strategy: Any, *, seed: int, first_only: bool) -> list[Any]:
    """Let Hypothesis search as by default, but without a limit of examples. Returns the products that it reports."""
    from hypothesis import HealthCheck, given, settings  # noqa: PLC0415 - with the test, which imports it too
    from hypothesis import seed as with_seed  # noqa: PLC0415

    chosen = settings(
        deadline=None, suppress_health_check=list(HealthCheck), max_examples=10**9, database=None, report_multiple_bugs=not first_only
    )

    @chosen
    @with_seed(seed)
    @given(product=strategy)
    def repeated(product: Any) -> None:
        test(product)

    try:
        repeated()
    except _Over:
        return []
    except BaseExceptionGroup as group:
        return [error.product for error in group.exceptions if hasattr(error, "product")]
    except Exception as error:
        if not hasattr(error, "product"):
            raise
        return [error.product]
    return []


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the test."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plain_counted", description="Run the plain test, and count.")
    parser.add_argument("file", type=Path, metavar="FILE", help="what is written")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--seconds", type=duration, default=120.0, metavar="TIME")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--first-only", action="store_true", help="stop at the first failure")
    options = parser.parse_args(arguments)
    os.environ["PLAIN_DEVICE"] = options.device
    from benchmarks import plain_test  # noqa: PLC0415 - reads the variable

    with options.file.open("w", encoding="utf-8") as file:
        counted = _Counted(plain_test.check, options.seconds, file)
        reported = search(counted, plain_test.PRODUCTS, seed=options.seed, first_only=options.first_only)
        counted.write("reported", [plain(product) for product in reported])
    return 0


if __name__ == "__main__":
    sys.exit(main())
