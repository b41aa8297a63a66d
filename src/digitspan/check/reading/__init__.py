"""Reads what was handed in, without running any of it."""
