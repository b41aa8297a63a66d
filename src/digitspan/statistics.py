"""Intervals and information, out of counts."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

__all__ = ["MAX_BITS", "Interval", "memory_bits", "wilson"]

_Z = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""

MAX_BITS = math.log2(10)
"""What one digit can tell: log2 10 = 3.32 bits."""


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


def wilson(successes: int, trials: int, *, z: float = _Z) -> Interval:
    """The Wilson score interval of a share, by default at 95 %.

    (p + z^2/2n -+ z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n), with p = successes/trials

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    JASA 22 (1927). (scipy.stats has it too, at 0.7 s of import; a test compares the two.)

    Args:
        successes: a count from 0 to `trials`.
        trials: n, at least 1.
        z: the normal quantile of the level; 1.96 for 95 %.

    >>> low, high = wilson(4, 4)
    >>> round(low, 4), high
    (0.5101, 1.0)
    """
    share = successes / trials
    shrink = 1 + z**2 / trials
    centre = (share + z**2 / (2 * trials)) / shrink
    half_width = z / shrink * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    low = 0.0 if successes == 0 else centre - half_width
    high = 1.0 if successes == trials else centre + half_width
    return Interval(low, high)


def memory_bits(counts: np.ndarray) -> float:
    """How much the answers tell about the first digit: I(x_1; prediction), in bits.

    I = sum_jk P(j, k) log2(P(j, k) / (P(j) P(k))), from counts, less its bias of
    (cells - rows - columns + 1) / (2 N ln 2), cells, rows and columns being those that are not
    empty (Miller 1955); in [0, log2 K]. `counts` (K, K): how often digit j was answered by k.
    """
    total = counts.sum()
    joint = counts / total
    independent = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    seen = joint > 0
    information = float((joint[seen] * np.log2(joint[seen] / independent[seen])).sum())
    rows, columns = (counts.sum(axis=1) > 0).sum(), (counts.sum(axis=0) > 0).sum()
    bias = float(seen.sum() - rows - columns + 1) / (2 * float(total) * math.log(2))
    return min(max(information - bias, 0.0), math.log2(len(counts)))
