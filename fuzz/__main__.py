"""Commands beside `pytest fuzz/`.

python -m fuzz replay PATH...           run findings or bare Cases again
python -m fuzz bisect FINDING           run a finding on several releases of bitsandbytes
python -m fuzz merge DIR... --into DIR  make one reports directory of several
python -m fuzz calibrate                measure which emulations this device's kernels agree with
python -m fuzz selfcheck                let the oracle find planted faults
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from fuzz.commands import bisect, calibrate, merge, replay, selfcheck


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Commands beside `pytest fuzz/`.")
    commands = parser.add_subparsers(dest="command", required=True)
    for command in (replay, bisect, merge, calibrate, selfcheck):
        command.add(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    options = build_parser().parse_args(arguments)
    return int(options.run(options))


if __name__ == "__main__":
    sys.exit(main())
