"""Trains one run: a configuration goes in, a record comes out."""
