"""Planted faults: the oracle is shown results that are wrong in ways a kernel author could really get wrong."""
