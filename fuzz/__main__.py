"""Commands beside `pytest fuzz/`.

python -m fuzz doctor                   say what this machine can fuzz and what not
python -m fuzz replay PATH...           run findings or bare Cases again
python -m fuzz bisect FINDING           run a finding on several releases of bitsandbytes
python -m fuzz confirm FINDING...       run findings' scripts under compute-sanitizer
python -m fuzz merge DIR... --into DIR  make one reports directory of several
python -m fuzz fleet --shards ...       fuzz on the machines of a Ray cluster
python -m fuzz remember STATE [DIR...]  keep what a nightly job knows
python -m fuzz calibrate                measure which emulations this device's kernels agree with
python -m fuzz selfcheck                let the oracle find planted faults
python -m fuzz kernels                  count which of the library's 4-bit kernels are launched
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Final

COMMANDS: Final = ("doctor", "replay", "bisect", "confirm", "merge", "fleet", "remember", "calibrate", "selfcheck", "kernels")
"""Modules of `fuzz.commands`, by the names of the commands."""


def build_parser(names: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """The command line with these commands."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Commands beside `pytest fuzz/`.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in names:
        importlib.import_module(f"fuzz.commands.{name}").add(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    # Only the command that is asked for is imported: `doctor` can then say which package is missing, and `merge` needs no torch.
    options = build_parser([name for name in COMMANDS if name in given[:1]] or COMMANDS).parse_args(given)
    return int(options.run(options))


if __name__ == "__main__":
    sys.exit(main())
