"""A fleet, with clusters that do as they are told."""
