"""One command a file: its options, what it prints and its exit status."""
