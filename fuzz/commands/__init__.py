"""The commands of `python -m fuzz`, one a file."""
