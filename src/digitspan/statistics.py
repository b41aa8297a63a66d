"""Intervals and information, out of counts."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

__all__ = [
    "MAX_BITS",
    "Interval",
    "MannWhitney",
    "binomial_tail",
    "kaplan_meier",
    "mann_whitney",
    "median_rank",
    "memory_bits",
    "memory_error",
    "wilson",
]

_Z = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""

_EXACT_UP_TO = 60
"""Values up to which the Mann-Whitney test counts all ways: some milliseconds."""

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


@functools.lru_cache(maxsize=4096)
def binomial_tail(successes: int, trials: int, share: float) -> float:
    """How probable so many successes or more are: P(Bin(n, p) >= k).

    Args:
        successes: k, a count from 0 to `trials`.
        trials: n.
        share: p, in (0, 1).

    >>> round(binomial_tail(2, 3, 0.1), 6), binomial_tail(0, 3, 0.1)  # 3 p^2 (1 - p) + p^3
    (0.028, 1.0)
    """
    if successes <= trials * share:  # the other tail is the smaller, whose terms fall
        below = binomial_tail(trials - successes + 1, trials, 1 - share) if successes else 0.0
        return 1 - below
    log_ways = math.lgamma(trials + 1) - math.lgamma(successes + 1)
    log_ways -= math.lgamma(trials - successes + 1)
    logarithm = successes * math.log(share) + (trials - successes) * math.log1p(-share)
    term, tail = math.exp(log_ways + logarithm), 0.0
    for count in range(successes, trials + 1):
        tail += term
        term *= (trials - count) / (count + 1) * share / (1 - share)
        if term < 1e-17 * tail:
            break
    return tail


def kaplan_meier(times: Sequence[float], ended: Sequence[bool]) -> np.ndarray:
    """The share that has ended by each time, with what is censored left out from then on.

    F(t) = 1 - prod_{t_i <= t} (1 - d_i / n_i), d_i ends at t_i among the n_i that are still seen
    (Kaplan and Meier 1958).

    >>> kaplan_meier([100, 200, 200, 300], [True, True, False, True]).tolist()
    [[0.0, 100.0, 200.0, 300.0], [0.0, 0.25, 0.5, 1.0]]

    Args:
        times: when each ended or was last seen; infinite where it can never end.
        ended: whether it did.

    Returns:
        Times at which one ended, from 0 on, and the share that has by then; shape (2, E + 1).
    """
    at, has_ended = np.asarray(times, float), np.asarray(ended, bool)
    steps = np.unique(at[has_ended])
    left = [1 - (has_ended & (at == t)).sum() / (at >= t).sum() for t in steps]
    share = 1 - np.cumprod(left) if len(steps) else np.array([])
    return np.array([[0.0, *steps], [0.0, *share]])


class MannWhitney(NamedTuple):
    """Whether one group lies above the other."""

    p: float
    """Two-sided."""
    above: float
    """Share of the pairs in which the value of the first group is the larger, ties half."""


def mann_whitney(strata: Iterable[tuple[Sequence[float], Sequence[float]]]) -> MannWhitney:
    """The Mann-Whitney test of two groups; of several strata, each compared within itself.

    W, the sum over the strata of the ranks of the first group (ties at their mean rank), against
    all ways to draw so many of each stratum's ranks: p = 2 min(P(W <= w), P(W >= w)), at most 1.
    Exact up to 60 values, with ties too; beyond, the normal distribution of the same mean and
    variance, half a rank nearer.

    Source: H. B. Mann and D. R. Whitney, On a test of whether one of two random variables is
    stochastically larger than the other, Ann. Math. Stat. 18 (1947). (scipy.stats has it too,
    without strata; a test compares the two.)

    Args:
        strata: the values of the first group and of the second; a stratum that lacks either
            tells nothing.

    >>> p, above = mann_whitney([([1, 2, 3, 4, 5], [6, 7, 8, 9, 10])])
    >>> round(p, 4), above  # 2 of 252 ways
    (0.0079, 0.0)
    """
    drawn, seen, pairs, variance = np.ones(1), 0, 0, 0.0
    ranked = [
        (_doubled_ranks([*first, *second]), len(first))
        for first, second in strata
        if len(first) and len(second)
    ]
    exact = sum(len(doubled) for doubled, _ in ranked) <= _EXACT_UP_TO
    for doubled, size in ranked:
        total = len(doubled)
        seen += int(doubled[:size].sum()) - size * (size + 1)  # 2 U, from 0 to 2 m n
        variance += size * (total - size) * float(np.var(doubled)) / (total - 1)
        pairs += size * (total - size)
        if exact:
            drawn = np.convolve(drawn, _drawn(doubled, size))
    above = seen / (2 * pairs) if pairs else 0.5
    if exact:
        p = 2 * float(min(drawn[: seen + 1].sum(), drawn[seen:].sum()))
    else:
        away = max(0.0, abs(seen - pairs) - 1)
        p = math.erfc(away / math.sqrt(2 * variance)) if variance > 0 else 1.0
    return MannWhitney(min(1.0, p), above)


def _doubled_ranks(values: Sequence[float]) -> np.ndarray:
    """Twice the ranks of some values, ties at their mean rank: whole numbers, shape (N,)."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((2 * np.cumsum(counts) - counts + 1)[inverse])


def _drawn(doubled: np.ndarray, size: int) -> np.ndarray:
    """How probable each 2 U is where `size` of the ranks are drawn, shape (2 m n + 1,)."""
    # ways[m, w]: how many sets of m of the ranks so far have the doubled sum w.
    ways = np.zeros((size + 1, int(doubled.sum()) + 1))
    ways[0, 0] = 1
    for rank in doubled:
        ways[1:, rank:] += ways[:-1, :-rank].copy()
    least = size * (size + 1)
    counts = ways[size, least : least + 2 * size * (len(doubled) - size) + 1]
    return np.asarray(counts / counts.sum())


def median_rank(number: int) -> int:
    """K: the k-th smallest and the k-th largest of so many values enclose their median for sure.

    Whatever their distribution (Thompson 1936): the median is outside of them where fewer than k
    values are below it, or above it, 2 P(Bin(n, 1/2) < k) <= 1/16. That is 94 % for five values
    and 95 % or more from six on; 0 where there are fewer.

    >>> [median_rank(number) for number in (4, 5, 9, 20)]
    [0, 1, 2, 6]
    """
    rank, missed = 0, 0.0
    while True:
        missed += 2 * math.comb(number, rank) / 2**number
        if missed > (1 / 16 if number == _FEWEST else 0.05):
            return rank
        rank += 1


_FEWEST = 5
"""Values that an interval of their median takes."""


def memory_bits(counts: np.ndarray, *, all_there: bool = False) -> float:
    """How much the answers tell about the first digit: I(x_1; prediction), in bits.

    I = sum_jk P(j, k) log2(P(j, k) / (P(j) P(k))), from counts, less its bias as the jackknife
    finds it (Quenouille 1956): N I - (N - 1) mean_i I_(-i), where I_(-i) leaves answer i out; in
    [0, log2 K]. Of 200 answers that tell nothing, the sum alone makes 0.34 bits on average, and
    with Miller's correction 0.09; the jackknife makes 0.01.

    Args:
        counts: how often digit j was answered by class k, shape (K, K).
        all_there: whether all questions that there are were asked. Then nothing was drawn, and the
            sum is the information itself, without a bias.
    """
    if all_there:
        return _information(counts)
    total = int(counts.sum())
    left_out = 0.0
    for place in zip(*np.nonzero(counts), strict=True):
        fewer = counts.copy()
        fewer[place] -= 1
        left_out += float(counts[place]) * _information(fewer)
    information = total * _information(counts) - (total - 1) * left_out / total
    return min(max(information, 0.0), math.log2(len(counts)))


def memory_error(right: int, asked: int, classes: int = 10) -> float:
    """The standard error of `memory_bits`, in bits, where all wrong answers are equally likely.

    s^2 = p (1 - p) log2^2((K - 1) p / (1 - p)) / N + 2 (K - 1)^2 / (2 N ln 2)^2, p = right / N

    The variance of log2 of how much likelier an answer is than by chance, and that of the bits
    where nothing is told: 2 N ln 2 I is a chi-squared of (K - 1)^2 degrees then.

    Args:
        right: right answers, from 0 to `asked`.
        asked: N, all answers, at least 1.
        classes: K.
    """
    share = right / asked
    told = 0.0
    if 0 < share < 1:
        told = share * (1 - share) * math.log2((classes - 1) * share / (1 - share)) ** 2 / asked
    return math.sqrt(told + 2 * (classes - 1) ** 2 / (2 * asked * math.log(2)) ** 2)


def _information(counts: np.ndarray) -> float:
    """The mutual information of rows and columns, in bits, of counts taken as probabilities."""
    joint = counts / max(counts.sum(), 1)
    independent = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    seen = joint > 0
    return float((joint[seen] * np.log2(joint[seen] / independent[seen])).sum())
