"""How the length grows in training, where it does: begun short, and longer once it is learned."""

from __future__ import annotations

import math
from typing import NamedTuple

from digitspan.tasks import TASKS, is_own_task

__all__ = ["Growth", "growth_of"]


class Growth(NamedTuple):
    """When the longest length of a run's batches grows, and how the shorter ones are mixed in.

    A network that saw one length alone can answer by counting (Zaremba and Sutskever 2014,
    "Learning to execute"), and one that saw mostly the longest lists forgets the shorter ones.
    """

    shortest: int
    """T to begin with."""
    learned_loss: float
    """nats: a length is learned where the mean loss of its last batches is below it."""
    batches: int
    """How many last batches."""
    present_share: float
    """Share of the batches that are of the present length; the others are shorter."""
    by_items: bool
    """Whether a list grows by one item, and shorter ones are uniform; else T grows by 1.3, and
    shorter ones are uniform in ln T."""

    def after(self, length: int) -> int:
        """The length that comes after T."""
        return length + 2 if self.by_items else math.ceil(1.3 * length)

    def shorter(self, length: int, place: float) -> int:
        """A length below T, or T itself where there is none; `place` is uniform in [0, 1)."""
        if self.by_items:
            return 2 * (1 + int(place * (length // 2 - 1)))
        shortest = min(self.shortest, length)
        return int(shortest * (length / shortest) ** place)

    def most_items(self, train_steps: int) -> int:
        """Items that so many training steps come to on average, if all is learned at once."""
        return self.shortest // 2 + int(train_steps * self.present_share / self.batches)


_DIGITS = Growth(5, 0.05, 1, 0.5, by_items=False)
_LISTS = Growth(4, 0.15, 10, 0.4, by_items=True)


def growth_of(task: str) -> Growth:
    """The rule of a task."""
    return _LISTS if not is_own_task(task) and TASKS[task].asks_lists else _DIGITS
