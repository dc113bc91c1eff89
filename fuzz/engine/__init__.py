"""The engine: runs Cases in child processes and judges them."""
