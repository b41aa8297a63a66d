"""Checks a hand-in: its equations and gradients, its training script, and what is in the ZIP."""
