"""The page of a run: one file that needs no network."""

from __future__ import annotations

from typing import Final

NAME: Final = "index.html"
"""The file, in the reports directory."""
