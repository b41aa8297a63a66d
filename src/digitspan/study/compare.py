"""Two conditions side by side: the ratio of their retention spans, with its interval.

Both spans are the ones that `measure_span` has, and the ratio is theirs. Runs of one length and
replicate see the same data whatever the cell, so they are compared in pairs: how far the two spans
go up and down together comes from a paired bootstrap over replicates, which draws the shares
solved of both conditions from their posterior.

An isotonic span is read from each draw of the shares. Where the logistic curve fits, the span's
own uncertainty is that of its posterior (study/curve.py), and the draws only say in which order:
posterior draws are put into the order of the spans that resampled studies have. The bootstrap
alone would not do: two lengths of which one is always solved and the other never leave the span
between them open, and every resampled study repeats that.

How the curve of a resampled study differs need not be found by fitting it: to first order,

d E[mu] / d k_T = Cov(mu, ln p(T) - ln(1 - p(T)))

where k_T is the number of solved runs at T, and expectation and covariance are the posterior's.

Sources: Rubin 1981 (the Bayesian bootstrap), Perks 1947 (the prior of one run, shared between
the outcomes of a pair), Giordano and Broderick 2023 (the derivative), Clark et al. 2004
(dependence carried over by ranks).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from digitspan.runs.record import RunRecord
from digitspan.study.curve import Counts, Posterior, log_likelihoods
from digitspan.study.span import find_crossing, isotonic_ends

__all__ = ["Comparison", "Outcomes", "compare_spans", "outcomes_of"]

Outcomes = Mapping[int, Mapping[int, bool]]
"""Whether a run was solved, by length T and by replicate (seed)."""

_DRAWS = 1_000
"""Draws behind an interval."""


class Comparison(NamedTuple):
    """The span of one condition as a multiple of another's."""

    ratio: float
    """S50 of the first over S50 of the second; a bound where `bound` says so."""
    low: float | None
    """Lower end of its 95 % interval; None where the lengths tried do not reach it."""
    high: float | None
    """Upper end of it, likewise."""
    bound: str
    """">=" or "<=" where the lengths tried do not reach one of the two spans, "?" where they
    reach neither and nothing is known of the ratio, else empty."""
    pairs: int
    """Runs of the first that have a run of the second with the same data."""

    @property
    def differs(self) -> bool:
        """Whether the interval leaves out a ratio of one."""
        return (self.low is not None and self.low > 1) or (self.high is not None and self.high < 1)


def outcomes_of(records: Iterable[RunRecord]) -> dict[int, dict[int, bool]]:
    """Whether runs were solved, by length and seed."""
    outcomes: dict[int, dict[int, bool]] = {}
    for record in records:
        outcomes.setdefault(record.config.length, {})[record.config.seed] = record.solved
    return outcomes


def compare_spans(first: Outcomes, second: Outcomes, *, draws: int = _DRAWS) -> Comparison:
    """The ratio of two retention spans with its 95 % interval.

    A span beyond the lengths tried counts as the last of these, and opens the interval's end.

    >>> short = {5: dict.fromkeys(range(10), True), 10: dict.fromkeys(range(10), False)}
    >>> long = short | {10: dict.fromkeys(range(10), True), 20: dict.fromkeys(range(10), False)}
    >>> compared = compare_spans(long, short)
    >>> round(compared.ratio, 1), compared.differs, compare_spans(short, short).ratio
    (2.0, True, 1.0)

    Args:
        first: the runs of one condition; at least one.
        second: the runs of the other.
        draws: how many the interval is made of.
    """
    shares = _resampled(first, second, draws)
    one, other = _Side.of(first, shares[0]), _Side.of(second, shares[1])
    at_least = one.bound == ">=" or other.bound == "<="
    at_most = one.bound == "<=" or other.bound == ">="
    # Open above where the first span is, or where the second is open below; and so on.
    open_above = at_least or _often(one.high > one.longest) or _often(other.low < other.shortest)
    open_below = at_most or _often(one.low < one.shortest) or _often(other.high > other.longest)
    ratio = one.s50 / other.s50
    # A drawn value, not one between two: isotonic ones go from one length tried to another.
    low = np.quantile(one.within(one.low) / other.within(other.high), 0.025, method="lower")
    high = np.quantile(one.within(one.high) / other.within(other.low), 0.975, method="higher")
    return Comparison(
        ratio=ratio,
        low=None if open_below else float(min(low, ratio)),
        high=None if open_above else float(max(high, ratio)),
        bound="?" if at_least and at_most else ">=" if at_least else "<=" if at_most else "",
        pairs=sum(len(first[t].keys() & second[t].keys()) for t in first.keys() & second.keys()),
    )


class _Side(NamedTuple):
    """What one condition's runs say about its span."""

    s50: float
    """As `measure_span` has it."""
    bound: str
    """Likewise."""
    low: np.ndarray
    """Draws of S50 that belong to those of the other condition, shape (B,)."""
    high: np.ndarray
    """The same; isotonic ones go from the length in `low` to the one in `high`."""
    shortest: int
    """The shortest length tried."""
    longest: int
    """The longest one."""

    @classmethod
    def of(cls, outcomes: Outcomes, shares: np.ndarray) -> _Side:
        """From the runs, and from the shares solved in resampled studies (B, L)."""
        counts = {t: Counts(sum(runs.values()), len(runs)) for t, runs in outcomes.items()}
        found = find_crossing(counts)
        if found.method == "isotonic":
            low, high = isotonic_ends(counts, shares)
        else:
            order = shares @ _influences(counts, found.belief)  # (B,)
            ranks = order.argsort().argsort()
            low = high = np.exp(found.belief.quantiles((ranks + 0.5) / len(ranks)))
        return cls(found.s50, found.bound, low, high, min(counts), max(counts))

    def within(self, length: np.ndarray) -> np.ndarray:
        """Lengths, those beyond the lengths tried moved to the last of these."""
        clipped: np.ndarray = np.clip(length, self.shortest, self.longest)
        return clipped


def _resampled(first: Outcomes, second: Outcomes, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Shares solved by both conditions in resampled studies, (B, L) each, L their own lengths.

    At each length every replicate has a weight from Exp(1), the same for both conditions, and
    each outcome of a pair (both solved, only the first, ...) one from Gamma(1/4) besides. So the
    shares of one condition alone are drawn from their posterior, Beta(k + 1/2, n - k + 1/2).
    """
    generator = np.random.default_rng(0)
    shares: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for length in sorted(first.keys() | second.keys()):
        both = (first.get(length, {}), second.get(length, {}))
        replicates = sorted(both[0].keys() | both[1].keys())
        weights = generator.exponential(size=(len(replicates), draws))
        prior = generator.gamma(0.25, size=(2, 2, draws))  # by outcome of the first, the second
        for side, runs in enumerate(both):
            if runs:
                has_run = np.array([replicate in runs for replicate in replicates])
                is_solved = np.array([runs.get(replicate, False) for replicate in replicates])
                of_solved = is_solved @ weights + prior.sum(axis=1 - side)[1]
                of_all = has_run @ weights + prior.sum(axis=(0, 1))
                shares[side].append(of_solved / of_all)
    return np.stack(shares[0], axis=1), np.stack(shares[1], axis=1)


def _influences(counts: Mapping[int, Counts], belief: Posterior) -> np.ndarray:
    """How much a solved share higher by one moves the posterior mean of mu, shape (L,)."""
    influences = []
    for length in sorted(counts):
        log_solved, log_unsolved = log_likelihoods(length, max(counts))
        logit = log_solved - log_unsolved  # (G,)
        covariance = belief.mean(belief.mu * logit) - belief.mean(belief.mu) * belief.mean(logit)
        influences.append(counts[length].runs * covariance)
    return np.array(influences)


def _often(beyond: np.ndarray) -> bool:
    """Whether more than 2.5 % of the draws are beyond the lengths tried."""
    return bool(beyond.mean() > 0.025)
