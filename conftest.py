"""Registers the hooks; the code behind them is in `fuzz.plugin` and `fuzz.controller`."""

from __future__ import annotations

pytest_plugins = ("fuzz.unrewritten", "fuzz.plugin", "fuzz.controller")
