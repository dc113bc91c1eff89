"""Registers the hooks; the code behind them is in `fuzz.plugin`."""

from __future__ import annotations

pytest_plugins = ("fuzz.unrewritten", "fuzz.plugin")
