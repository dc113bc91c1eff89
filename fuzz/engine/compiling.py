"""`torch.compile` for one call: switched on, with nothing of an earlier call, and its own mistakes told from the library's."""

from __future__ import annotations

import contextlib
import itertools
import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch

BACKEND: Final = "aot_eager"
"""It traces as the default backend does, with the library's fake kernels, functionalization and the joint graph of forward and
backward, and then runs the operators that were called: the same kernels, so that the same numbers are right. `inductor` would
need a C++ compiler or Triton, takes longer than the watchdog waits (28 s for the first module, measured on two CPU cores), and
fuses what is torch's own."""

_SWITCH: Final = "TORCHDYNAMO_DISABLE"
"""Read by torch when a function is compiled, not when it is called. `fuzz.engine.environment` sets it, because bitsandbytes
compiles some of its own functions."""

_COMPILER: Final = tuple(Path(str(torch.__file__)).parent / name for name in ("_dynamo", "_functorch", "_inductor"))
"""Where torch's compiler lies."""


class CompilerError(RuntimeError):
    """`torch.compile` failed by itself: no code of the library was running."""


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """Functions that are compiled here are compiled, and afresh.

    What was compiled for other Cases would otherwise count towards the limit of recompilations, and sizes that vary would
    be compiled as variables: a result would depend on what was called before.

    Raises:
        CompilerError: an exception that was not raised by the library's code.
        Exception: whatever the library raises.
    """
    before = os.environ.pop(_SWITCH, None)
    torch.compiler.reset()
    try:
        yield
    except Exception as error:
        if is_of_library(error):
            raise
        raise CompilerError(f"{type(error).__name__}: {error}") from error
    finally:
        torch.compiler.reset()
        if before is not None:
            os.environ[_SWITCH] = before


def is_of_library(error: BaseException) -> bool:
    """Whether code of bitsandbytes was running when an exception was raised, or one that it was raised from.

    The compiler reads the library's functions instead of calling them; only kernels and fake kernels are called from it. A
    frame of the library above the compiler's own says no more than what was to be compiled.
    """
    import bitsandbytes  # noqa: PLC0415 - importing it initialises CUDA, which only the child may do

    library = Path(str(bitsandbytes.__file__)).parent
    return any(_is_below_compiler(one, library) for one in _chain(error))


def _is_below_compiler(error: BaseException, library: Path) -> bool:
    files = [Path(frame.f_code.co_filename) for frame, _ in traceback.walk_tb(error.__traceback__)]
    below = itertools.takewhile(lambda file: not any(folder in file.parents for folder in _COMPILER), reversed(files))
    return any(library in file.parents for file in below)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__  # Dynamo raises its own `from None`, and what it caught is still the context
