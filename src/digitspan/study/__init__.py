"""Studies: what to run, running it, keeping it, and the statistics."""
