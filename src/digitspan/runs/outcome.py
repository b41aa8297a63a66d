"""What can become of a run, when it is evaluated, and when it counts as solved."""

from __future__ import annotations

__all__ = ["END_STATES", "ERROR_OF_1997", "EVALUATE_EVERY", "SOLVED_ACCURACY"]

EVALUATE_EVERY = 50
"""Training steps between two evaluations, whose batches are drawn at once."""

SOLVED_ACCURACY = 0.99
"""Two evaluations in a row at this accuracy end a run as solved."""

ERROR_OF_1997 = 0.2
"""Hochreiter and Schmidhuber's criterion for `first-symbol`: on every test sequence the absolute
error of every output is below this. Their outputs were sigmoid units; ours is the softmax against
the one-hot target, whose largest error is 1 - y-hat of the right symbol."""

END_STATES = ("solved", "censored", "diverged", "error")
"""A run is solved at a step, not solved by the end of its budget (censored there: more steps might
have solved it), or has diverged. An error is no outcome: nothing is known of what it would have
been, and the run is made again (docs/protocol.md)."""
