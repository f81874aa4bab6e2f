"""Balancing: make the comparison group comparable before outcomes are read (weights, matches and their diagnostics)."""
