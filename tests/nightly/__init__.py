"""The nightly job: its workflow, and its scripts run on the CPU."""
