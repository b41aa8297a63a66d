"""A run as data: its settings, its record, its folder, what it costs. Torch is not needed."""
