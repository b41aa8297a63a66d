"""A run as data: its settings, its record, its folder, its cost (no torch)."""
