"""Reports: writes what it is handed, and knows nothing of how it came about."""
