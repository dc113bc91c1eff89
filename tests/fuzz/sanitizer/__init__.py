"""compute-sanitizer: what it prints, where it is, and how it is run, with a program in its place."""
