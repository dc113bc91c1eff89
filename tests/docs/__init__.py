"""The pages of documentation, whose examples are run."""
