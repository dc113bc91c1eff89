"""The engine: runs Cases in child processes, judges, reduces and confirms."""
