"""Checks a hand-in: its equations and gradients, its training script, its ZIP."""
