"""When a trained network holds a length, and the holding span of several networks.

The holding span is the length that half of some trained networks hold. Each network has one
threshold, below the first length it fails and known to lie between two lengths asked. The span is
the median of the thresholds, and its interval two of them: whatever their distribution, the k-th
smallest and the k-th largest enclose the median as often as a coin says. No curve is fitted: one
that was, covered the median of networks of two kinds in 44 to 85 % of simulated cells.

Whether a network holds a length, that is, answers 99 % of its palindromes, is decided by Wald's
sequential test of 97.5 % against 99.75 %, which is even between them at 99 %: from 130 right
answers in a row on it holds.

Sources: Wald 1945 (the test), Thompson 1936 (the interval of a median). See docs/protocol.md,
section 10.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from digitspan.statistics import median_rank

__all__ = ["MOST_PALINDROMES", "HoldingSpan", "Threshold", "holding_span", "holds", "threshold"]

MOST_PALINDROMES = 1_000
"""From so many on, the share of right answers decides."""

_HOLDING, _NOT_HOLDING, _ENOUGH = 0.9975, 0.975, 0.99
"""The shares of right answers that the test decides between, and what is asked for."""

_EVIDENCE = math.log(0.95 / 0.05)
"""Log likelihood ratio that decides: each error has a probability of at most 5 %."""


def holds(right: int, tested: int) -> bool | None:
    """Whether a network holds a length; None where more palindromes must be asked.

    >>> holds(129, 129), holds(130, 130), holds(18, 20)
    (None, True, False)
    """
    wrong = tested - right
    evidence = right * math.log(_HOLDING / _NOT_HOLDING) + wrong * math.log(
        (1 - _HOLDING) / (1 - _NOT_HOLDING)
    )
    if abs(evidence) >= _EVIDENCE:
        return evidence > 0
    return right >= _ENOUGH * tested if tested >= MOST_PALINDROMES else None


class Threshold(NamedTuple):
    """Between which lengths a network stops to hold."""

    above: float
    """The longest length up to which it holds all that were asked; 0: none."""
    below: float
    """The first it does not hold; infinity where there is none."""


def threshold(held: Mapping[int, bool | None]) -> Threshold:
    """A network's threshold, from whether it holds each length.

    A length of which that is not decided is in between.

    >>> threshold({100: True, 1_000: True, 10_000: None, 100_000: False})
    Threshold(above=1000, below=100000)
    """
    above, unbroken = 0, True
    for length, is_held in sorted(held.items()):
        if is_held is False:
            return Threshold(above, length)
        unbroken = unbroken and is_held is True
        if unbroken:
            above = length
    return Threshold(above, math.inf)


class HoldingSpan(NamedTuple):
    """The length that half of some networks hold."""

    s50: float | None
    """The median threshold, in the middle (of ln T) of the lengths it lies between; a bound
    where `bound` says so; None where too few palindromes were asked to know anything of it."""
    low: float | None
    """Lower end of its 95 % interval; None where it is below the shortest length asked, or there
    are fewer than five networks."""
    high: float | None
    """Upper end of it; None where it is above the longest length asked, or likewise."""
    bound: str
    """">=" or "<=" where the lengths asked do not reach it, "?" where nothing is known, else
    empty."""
    networks: int
    """How many there are."""


def holding_span(thresholds: Iterable[Threshold]) -> HoldingSpan:
    """The length that half of some networks hold, with its 95 % interval.

    >>> held = [Threshold(100, 1_000)] * 3 + [Threshold(1_000, 10_000)] * 4
    >>> span = holding_span(held)
    >>> round(span.s50), span.low, span.high
    (3162, 100.0, 10000.0)

    Args:
        thresholds: one a network; at least one.
    """
    found = list(thresholds)
    above = sorted(each.above for each in found)
    below = sorted(each.below for each in found)
    number = len(found)
    low, high = above[(number - 1) // 2], below[number // 2]
    rank = median_rank(number)
    lowest = above[rank - 1] if rank else 0.0
    highest = below[number - rank] if rank else math.inf
    if not low and math.isinf(high):
        return HoldingSpan(None, None, None, "?", number)
    middle = high if not low else low if math.isinf(high) else math.sqrt(low * high)
    return HoldingSpan(
        s50=float(middle),
        low=float(lowest) or None,
        high=None if math.isinf(highest) else float(highest),
        bound="<=" if not low else ">=" if math.isinf(high) else "",
        networks=number,
    )
