"""How a run can end, and when it counts as solved."""

from __future__ import annotations

__all__ = ["END_STATES", "SOLVED_ACCURACY"]

SOLVED_ACCURACY = 0.99
"""Two evaluations in a row at this accuracy end a run as solved."""

END_STATES = ("solved", "plateau", "budget", "diverged", "oom", "crashed")
"""How a run can end (docs/protocol.md); only the first counts as solved."""
