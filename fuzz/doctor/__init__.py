"""What this machine can fuzz and what not, one question a file. CUDA is initialised in a child only."""
