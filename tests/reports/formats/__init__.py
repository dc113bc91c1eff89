"""Formats that machines read."""
