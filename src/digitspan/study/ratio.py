"""Two spans side by side: how many times longer one is, and whether they differ.

The two posteriors are independent, so the ratio's is made of all pairs of their values. What lies
beyond the lengths run stays unknown: it opens an end of the interval, and counts for both sides
of the p-value, twice the smaller tail of the posterior. Of m comparisons the p-values are
Holm's and the intervals are at 1 - 0.05 / m.

Sources: Holm 1979 (step-down p-values), Bonferroni (intervals). See docs/protocol.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from digitspan.study.retention import Span, central

__all__ = ["Ratio", "compare_all", "compare_spans", "holm"]


class Ratio(NamedTuple):
    """The span of one condition as a multiple of another's."""

    ratio: float
    """S50 of the first over S50 of the second; a bound where `bound` says so."""
    low: float | None
    """Lower end of the interval; None where it is open."""
    high: float | None
    """Upper end of it, likewise."""
    bound: str
    """">=" or "<=" where the lengths run do not reach one of the two spans, "?" where they
    reach neither and nothing is known of the ratio, else empty."""
    level: float
    """Of the interval."""
    p: float
    """Twice the smaller tail of the posterior beyond a ratio of one, at most 1."""
    adjusted_p: float
    """Holm's p over all comparisons made together; `p` where it is the only one."""
    marked: bool
    """Whether either span is: the surface does not describe its runs."""

    @property
    def differs(self) -> bool:
        """Whether the interval leaves out a ratio of one."""
        return (self.low is not None and self.low > 1) or (self.high is not None and self.high < 1)


def compare_spans(first: Span, second: Span, *, level: float = 0.95) -> Ratio:
    """The ratio of two spans that were measured on runs of their own.

    Args:
        first: the span of one condition.
        second: the span of the other, within the same budget or another.
        level: of the interval.
    """
    (one_low, one_high), (other_low, other_high) = first.bounds(), second.bounds()
    lowest = (one_low[:, None] - other_high).ravel()
    highest = (one_high[:, None] - other_low).ravel()
    low, high = central(lowest, highest, level)
    tails = (float(np.mean(lowest <= 0)), float(np.mean(highest >= 0)))
    p = min(1.0, 2 * max(min(tails), 1 / len(lowest)))
    at_least = first.bound == ">=" or second.bound == "<="
    at_most = first.bound == "<=" or second.bound == ">="
    return Ratio(
        ratio=first.s50 / second.s50,
        low=low,
        high=high,
        bound="?" if at_least and at_most else ">=" if at_least else "<=" if at_most else "",
        level=level,
        p=p,
        adjusted_p=p,
        marked=first.marked or second.marked,
    )


def compare_all(
    spans: Mapping[str, Span], pairs: Sequence[tuple[str, str]] | None = None
) -> dict[tuple[str, str], Ratio]:
    """Pairs of conditions, m of them: Holm's p-values, intervals at 1 - 0.05 / m.

    Args:
        spans: by the condition's name.
        pairs: which are compared, by default all; no two whose spans share a run.
    """
    if pairs is None:
        pairs = list(itertools.combinations(spans, 2))
    level = 1 - 0.05 / max(len(pairs), 1)
    found = [compare_spans(spans[one], spans[other], level=level) for one, other in pairs]
    adjusted = holm([each.p for each in found])
    return {
        pair: each._replace(adjusted_p=p)
        for pair, each, p in zip(pairs, found, adjusted, strict=True)
    }


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values that hold for all comparisons together, in the same order.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted
