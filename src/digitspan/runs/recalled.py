"""What a network said of lists that were read to it: whole lists, places, errors, bits, spans."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

from digitspan.runs.ranges import is_count, is_finite
from digitspan.statistics import memory_error

__all__ = ["Lists", "Recalled", "SpanPoint", "digit_span", "mean_span"]


def digit_span(shares: Sequence[float]) -> int:
    """The digit span: the largest L such that P(L') >= 1/2 for all L' <= L.

    Args:
        shares: P(1), P(2), ...: shares of lists recalled whole, in [0, 1].

    >>> digit_span([1, 0.9, 0.4, 0.6]), digit_span([0.1])
    (2, 0)
    """
    return next((items for items, share in enumerate(shares) if share < 0.5), len(shares))


def mean_span(shares: Sequence[float]) -> float:
    """The mean span: sum_L P(L), in items, as of people (Woods and others 2011).

    >>> mean_span([1, 0.9, 0.4, 0.1])
    2.4
    """
    return float(sum(shares))


class Lists(NamedTuple):
    """How the lists of one length were recalled."""

    items: int
    """L."""
    asked: int
    """Lists."""
    whole: int
    """How many of them came back whole."""
    right: tuple[int, ...]
    """How often each place of the list, x_1 to x_L, was right."""
    neighbours: int
    """Wrong answers that were the digit before or behind in the list: transpositions."""
    neighbours_by_chance: float
    """How many of the wrong answers would have been, had each been any of the other digits."""
    bits: float
    """sum_i I(x_i; answer_i), in bits, corrected for bias; at most L log2 10."""

    @property
    def share(self) -> float:
        """P(L), the share of lists recalled whole, in [0, 1]."""
        return self.whole / self.asked

    @property
    def wrong(self) -> int:
        """Wrong answers, over all places."""
        return self.items * self.asked - sum(self.right)

    @property
    def error(self) -> float:
        """The standard error of the bits."""
        return math.sqrt(sum(memory_error(right, self.asked) ** 2 for right in self.right))

    @property
    def can_be(self) -> bool:
        """Whether every value, as it was read from a file, is of its type and in its range."""
        return (
            all(map(is_count, (self.items, self.asked, self.whole, self.neighbours, *self.right)))
            and 1 <= self.items == len(self.right)
            and max(self.whole, 1, *self.right) <= self.asked
            and self.neighbours <= self.wrong
            and is_finite(self.neighbours_by_chance)
            and 0 <= self.neighbours_by_chance <= self.wrong
            and is_finite(self.bits)
            and -1e-6 <= self.bits <= 64 * self.items
        )


class SpanPoint(NamedTuple):
    """The spans of a network on its way, on validation lists."""

    step: int
    """Training steps done."""
    digit_span: int
    """In items."""
    mean_span: float
    """In items."""


class Recalled(NamedTuple):
    """What a network said of unseen lists of one length, or of every length up to its span."""

    lists: tuple[Lists, ...]
    """By length: 1, 2, ... until no list comes back whole; or the one length of the run."""
    on_the_way: tuple[SpanPoint, ...] = ()
    """Spans during training, the last one at its end; () where one length was trained."""
    masked: tuple[int, ...] = ()
    """Mask control, by place: right answers where that place's digit was replaced in the list."""
    masked_asked: int = 0
    """Lists asked with each place replaced."""
    state_size: int | None = None
    """Numbers that the network carries from step to step; None where it does not say."""

    @property
    def digit_span(self) -> int | None:
        """In items; None where only one length was asked."""
        return digit_span(self.shares) if self._from_one else None

    @property
    def mean_span(self) -> float | None:
        """In items; None where only one length was asked."""
        return mean_span(self.shares) if self._from_one else None

    @property
    def is_open(self) -> bool:
        """Whether the span may lie beyond the longest lists that were asked."""
        return self.digit_span == self.lists[-1].items

    @property
    def capacity(self) -> Lists:
        """The shortest lists of which as many bits were told as of any, within the noise.

        Within two standard errors of the most: where longer lists tell no more, the most of many
        lengths is at any of them.
        """
        most = max(self.lists, key=lambda found: found.bits)
        return next(found for found in self.lists if found.bits >= most.bits - 2 * most.error)

    @property
    def shares(self) -> list[float]:
        """P(L) of each length."""
        return [found.share for found in self.lists]

    @property
    def _from_one(self) -> bool:
        return self.lists[0].items == 1 and bool(self.on_the_way)

    def can_be(self, items: int, *, every_length: bool) -> bool:
        """Whether every value, as it was read from a file, is of its type and in its range.

        Args:
            items: L of the run.
            every_length: whether its span was measured, on lists of every length from 1 on.
        """
        asked = range(1, len(self.lists) + 1) if every_length else (items,)
        return (
            all(found.can_be for found in self.lists)
            and [found.items for found in self.lists] == list(asked)
            and 1 <= len(self.lists) <= items
            and bool(self.on_the_way) == every_length
            and all(
                is_count(point.step)
                and is_count(point.digit_span)
                and is_finite(point.mean_span)
                and 0 <= point.mean_span <= items
                for point in self.on_the_way
            )
            and is_count(self.masked_asked)
            and all(is_count(right) and right <= self.masked_asked for right in self.masked)
            and (self.state_size is None or is_count(self.state_size))
        )

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "lists": [found._asdict() | {"right": list(found.right)} for found in self.lists],
            "on_the_way": [list(point) for point in self.on_the_way],
            "masked": list(self.masked),
            "masked_asked": self.masked_asked,
            "state_size": self.state_size,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """What `to_json` came from."""
        lists = [Lists(**found | {"right": tuple(found["right"])}) for found in document["lists"]]
        return cls(
            tuple(lists),
            tuple(SpanPoint(*point) for point in document["on_the_way"]),
            tuple(document["masked"]),
            document["masked_asked"],
            document["state_size"],
        )
