"""The native library that bitsandbytes loaded: without one it imports, and its kernels are missing."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Native:
    """The file that was loaded, such as "libbitsandbytes_cuda130.so"; empty if there is none, and then why."""

    file: str = ""
    missing: str = ""


NOTHING_LOADED: Final = Native(missing="bitsandbytes loaded none and does not say why")


def native_library() -> Native:
    """What the imported bitsandbytes has loaded."""
    try:
        loaded = importlib.import_module("bitsandbytes.cextension").lib
    except (ImportError, AttributeError) as error:
        return Native(missing=f"this bitsandbytes has none ({error})")
    # Upstream's placeholder for a library that did not load has every attribute that one asks for, so nothing is asked of it.
    members = vars(loaded)
    if "_lib" not in members:
        said = str(members.get("error_msg", "")).strip()
        return Native(missing=said.splitlines()[0]) if said else NOTHING_LOADED
    return Native(file=Path(str(members["_lib"]._name)).name)  # noqa: SLF001 - ctypes has no other name for it
