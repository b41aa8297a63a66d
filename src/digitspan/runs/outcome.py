"""What can become of a run, and when it counts as solved."""

from __future__ import annotations

__all__ = ["END_STATES", "SOLVED_ACCURACY"]

SOLVED_ACCURACY = 0.99
"""Two evaluations in a row at this accuracy end a run as solved."""

END_STATES = ("solved", "censored", "diverged", "error")
"""A run is solved at a step, not solved by the end of its budget (censored there: more steps might
have solved it), or has diverged. An error is no outcome: nothing is known of what it would have
been, and the run is made again (docs/protocol.md)."""
