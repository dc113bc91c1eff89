"""The fuzzer: one property a file, and the engine behind them."""
