"""What a sheet can ask: the networks, the tasks and the kinds of question that can be answered."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["KINDS", "NETWORKS", "TASKS", "Kind", "Network"]


class Kind(NamedTuple):
    """One kind of question, which a sheet asks at most once."""

    network: int | None
    """Of which network: 0, the vanilla one; 1, the gated one; None: of both."""
    figures: tuple[str, ...] = ()
    """The figures that stand at it, by the names that answers call them by."""
    needs: tuple[str, ...] = ()
    """What the study must have: "weights", "lengths", "optimizers"."""


KINDS = {
    "derivation": Kind(0, ("gradients",), ("weights",)),
    "implementation": Kind(0),
    "memory": Kind(0, ("rnn",), ("lengths",)),
    "optimizers": Kind(None, ("optimizers",), ("optimizers",)),
    "gates": Kind(1, ("gates",), ("weights",)),
    "parameters": Kind(1),
    "comparison": Kind(1, ("both", "budgets"), ("lengths", "weights")),
}
"""By the name that a sheet asks them by."""


class Network(NamedTuple):
    """A network that a sheet can ask for."""

    class_name: str
    """Its class in a hand-in."""
    file: str
    """The file of it."""
    place: int
    """0: it can be the vanilla one, 1: the gated one."""


NETWORKS = {
    "rnn": Network("VanillaRNN", "vanilla_rnn.py", 0),
    "lstm": Network("LSTM", "lstm.py", 1),
    "gru": Network("GRU", "gru.py", 1),
}
"""By their names in `digitspan.cells`."""

TASKS = {
    "palindrome": ("gradients", "rnn", "optimizers", "gates", "both", "budgets"),
    "recall": ("rnn", "both"),
}
"""The tasks that a sheet can set, by their names in `digitspan.tasks`, and the figures that there
are of them."""
