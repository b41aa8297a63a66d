"""The retention span: the length at which half of the runs are still solved, with its interval.

S50 is the median of the posterior of study/curve.py. Where that curve does not fit, S50 is the
length at which the pooled (isotonic) solved share crosses one half, with an interval from the
posterior of the shares. What lies beyond the lengths tried is not reported: that end of the
interval is open.

Sources: Schuett et al. 2016 (the posterior of a psychometric function), Gelman, Meng and Stern
1996 (posterior predictive p-value), Chakraborty and Ghosal 2021 (interval of a monotone function:
the posterior projected), Woods et al. 2011 (mean span). See docs/protocol.md, section 4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from digitspan.statistics import wilson
from digitspan.study.curve import Counts, Posterior, fitted_share, posterior

__all__ = [
    "GUARANTEE_SEEDS",
    "Counts",
    "Crossing",
    "Posterior",
    "Span",
    "find_crossing",
    "fitted_share",
    "isotonic",
    "isotonic_ends",
    "measure_span",
    "posterior",
]

GUARANTEE_SEEDS = 20
"""Seeds a length from which on the guaranteed span is determined."""

_MISFIT = 0.05
"""A posterior predictive p-value below it: the curve does not describe the runs."""

_REPLICATIONS = 400
"""Simulated studies behind the p-value, drawn ones behind the isotonic interval."""


class Span(NamedTuple):
    """The retention span that a set of runs shows."""

    s50: float
    """The length at which half of the runs are solved; a bound where `bound` says so."""
    s50_low: float | None
    """Lower end of its 95 % interval; None where it is below the shortest length tried."""
    s50_high: float | None
    """Upper end of it; None where it is above the longest length tried."""
    bound: str
    """">=" or "<=" where the lengths tried do not reach the span, else empty."""
    method: str
    """"logistic", or "isotonic" where the logistic curve does not fit."""
    lapse: float
    """Share of runs that fail even where it is easy (posterior mean)."""
    width: float
    """s: the width of the fall, in units of ln T (posterior mean)."""
    misfit_p: float
    """Posterior predictive p-value of the logistic curve."""
    guaranteed: float | None
    """Largest T up to which the lower 95 % bound of the solved share, pooled, is at least half;
    None where there are fewer than 20 seeds per length: not determined. 0: at none."""
    mean_span: float
    """exp of the area under the pooled solved share over ln T, from the shortest length on."""


class Crossing(NamedTuple):
    """Where the solved share has fallen to half, by the method that fits the runs."""

    s50: float
    """The length; the last one tried where it is not reached."""
    bound: str
    """">=" or "<=" where it is not reached, else empty."""
    method: str
    """"logistic" or "isotonic"."""
    belief: Posterior
    """The logistic curve's posterior: behind S50 and its interval where that curve fits."""
    misfit_p: float
    """Posterior predictive p-value of the logistic curve."""


def find_crossing(counts: Mapping[int, Counts]) -> Crossing:
    """S50 as it is printed: of the logistic curve, or isotonic where that curve does not fit.

    Args:
        counts: by length T; at least one.
    """
    belief = posterior(counts)
    p_value = _posterior_predictive_p(belief, counts)
    if p_value < _MISFIT or _rises(counts):
        method, found = "isotonic", _isotonic_crossing(counts)
    else:
        method, found = "logistic", float(np.exp(belief.quantiles([0.5])[0]))
    shortest, longest = min(counts), max(counts)
    return Crossing(
        s50=float(min(max(found, shortest), longest)),
        bound=">=" if found > longest else "<=" if found < shortest else "",
        method=method,
        belief=belief,
        misfit_p=p_value,
    )


def measure_span(counts: Mapping[int, Counts]) -> Span:
    """The retention span out of solved runs per length.

    >>> span = measure_span({5: Counts(10, 10), 10: Counts(9, 10), 20: Counts(1, 10)})
    >>> round(span.s50), span.bound, span.method
    (16, '', 'logistic')

    Args:
        counts: by length T; at least one.
    """
    found = find_crossing(counts)
    if found.method == "isotonic":
        low, high = _isotonic_interval(counts, found)
    else:
        low, high = np.exp(found.belief.quantiles([0.025, 0.975]))
    shortest, longest = min(counts), max(counts)
    return Span(
        s50=found.s50,
        s50_low=None if low < shortest else float(min(low, longest)),
        s50_high=None if high > longest else float(max(high, shortest)),
        bound=found.bound,
        method=found.method,
        lapse=found.belief.mean(found.belief.lapse),
        width=found.belief.mean(found.belief.s),
        misfit_p=found.misfit_p,
        guaranteed=_guaranteed(counts),
        mean_span=_mean_span(counts),
    )


def isotonic_ends(
    counts: Mapping[int, Counts], shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The lengths tried between which pooled shares cross one half, (B,) each.

    0 and the shortest, or the longest and infinity, where they do not at the lengths tried: of
    how the share falls between two lengths, or beyond them, nothing is known.

    Args:
        counts: by length T.
        shares: drawn from the posterior of the shares, Beta(k + 1/2, n - k + 1/2), at each
            length in ascending order, shape (B, L). Unlike the shares of resampled runs, these
            spread also where all or none were solved.
    """
    lengths = sorted(counts)
    drawn = _pooled(shares, np.array([counts[length].runs for length in lengths]))
    first_below = np.sum(drawn >= 0.5, axis=1)
    edges = np.array([0, *lengths, np.inf])
    return edges[first_below], edges[first_below + 1]


def isotonic(counts: Mapping[int, Counts]) -> np.ndarray:
    """Solved shares by length, pooled until none is above the one before; shape (L,).

    >>> isotonic({5: Counts(9, 10), 10: Counts(4, 10), 20: Counts(6, 10)}).tolist()
    [0.9, 0.5, 0.5]
    """
    pooled = _pool(counts)
    return np.concatenate([[block.solved / block.runs] * size for block, size in pooled])


def _posterior_predictive_p(belief: Posterior, counts: Mapping[int, Counts]) -> float:
    """How often runs simulated from the fit deviate from it at least as much as the real ones."""
    generator = np.random.default_rng(0)
    cumulative = np.cumsum(belief.weight)
    drawn = np.searchsorted(cumulative, generator.random(_REPLICATIONS) * cumulative[-1])
    lengths = np.array(sorted(counts))
    solved, runs = np.array([counts[length] for length in lengths]).T
    share = fitted_share(
        np.log(lengths)[None], belief.mu[drawn, None], belief.s[drawn, None],
        belief.lapse[drawn, None],
    )  # fmt: skip  # (replications, L)
    # One number per run is several times faster than binomial draws with a share each.
    uniform = generator.random((_REPLICATIONS, runs.sum()), dtype=np.float32)
    is_solved = uniform < np.repeat(share.astype(np.float32), runs, axis=1)
    simulated = np.add.reduceat(is_solved, np.cumsum(runs) - runs, axis=1, dtype=np.int64)
    at_least = _deviance(simulated, runs, share) >= _deviance(solved, runs, share) - 1e-9
    return float(at_least.mean())


def _deviance(solved: np.ndarray, runs: np.ndarray, share: np.ndarray) -> np.ndarray:
    """-2 log likelihood ratio of shares against the best possible ones, summed over lengths."""
    observed = np.clip(solved / runs, 1e-12, 1 - 1e-12)
    log_ratio = solved * np.log(observed / share)
    log_ratio = log_ratio + (runs - solved) * np.log((1 - observed) / (1 - share))
    deviance: np.ndarray = 2 * log_ratio.sum(axis=-1)
    return deviance


def _rises(counts: Mapping[int, Counts]) -> bool:
    """Whether a longer length is clearly solved more often than a shorter one."""
    highest_so_far = 1.0
    for length in sorted(counts):
        low, high = wilson(*counts[length])
        if low > highest_so_far:
            return True
        highest_so_far = min(highest_so_far, high)
    return False


def _pool(counts: Mapping[int, Counts]) -> list[tuple[Counts, int]]:
    """Neighbouring lengths pooled until solved shares do not rise: the runs, how many lengths."""
    blocks: list[tuple[Counts, int]] = []
    for length in sorted(counts):
        blocks.append((counts[length], 1))
        while len(blocks) > 1 and _share(blocks[-2][0]) < _share(blocks[-1][0]):
            (last, last_size), (before, size) = blocks.pop(), blocks.pop()
            both = Counts(before.solved + last.solved, before.runs + last.runs)
            blocks.append((both, size + last_size))
    return blocks


def _share(counts: Counts) -> float:
    """K / n."""
    return counts.solved / counts.runs


def _isotonic_crossing(counts: Mapping[int, Counts]) -> float:
    """The length at which the pooled share, drawn straight through ln T, falls below one half.

    0 or infinity where it does not at the lengths tried.
    """
    lengths, shares = sorted(counts), isotonic(counts)
    first_below = int(np.sum(shares >= 0.5))
    if first_below in (0, len(lengths)):
        return math.inf if first_below else 0.0
    above, below = shares[first_below - 1 : first_below + 1]
    left, right = np.log(lengths[first_below - 1 : first_below + 1])
    return float(np.exp(left + (above - 0.5) / (above - below) * (right - left)))


def _isotonic_interval(counts: Mapping[int, Counts], found: Crossing) -> tuple[float, float]:
    """The ends of the 95 % interval of an isotonic crossing, 0 and infinity where open."""
    generator = np.random.default_rng(0)
    solved, runs = np.array([counts[length] for length in sorted(counts)]).T
    shares = generator.beta(solved + 0.5, runs - solved + 0.5, (_REPLICATIONS, len(counts)))
    lows, highs = isotonic_ends(counts, shares)
    low = min(np.quantile(lows, 0.025, method="inverted_cdf"), found.s50)
    high = max(np.quantile(highs, 0.975, method="inverted_cdf"), found.s50)
    return (
        0.0 if found.bound == "<=" else float(low),
        math.inf if found.bound == ">=" else float(high),
    )


def _pooled(shares: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """Shares (B, L) pooled until none is above the one before, weighted by runs (L,); (B, L).

    g_i = min_{a <= i} max_{b >= i} (mean of the shares from a to b)

    Source: Robertson, Wright and Dykstra, Order Restricted Statistical Inference (1988).
    """
    sums = np.cumsum(shares * runs, axis=1)
    before = np.concatenate([np.zeros((len(shares), 1)), sums[:, :-1]], axis=1)
    number = np.cumsum(runs)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = (sums[:, None, :] - before[:, :, None]) / (number - (number - runs)[:, None])
    means[:, ~np.triu(np.ones((len(runs), len(runs)), bool))] = -np.inf  # (B, a, b): b >= a
    highest = np.maximum.accumulate(means[:, :, ::-1], axis=2)[:, :, ::-1]  # (B, a, i)
    below = np.where(np.triu(np.ones((len(runs), len(runs)), bool)), highest, np.inf)
    pooled: np.ndarray = below.min(axis=1)
    return pooled


def _guaranteed(counts: Mapping[int, Counts]) -> float | None:
    """The largest T up to which the pooled share's lower 95 % bound is at least one half."""
    if min(runs for _, runs in counts.values()) < GUARANTEE_SEEDS:
        return None
    lengths = iter(sorted(counts))
    longest = 0.0
    for block, size in _pool(counts):
        if wilson(*block).low < 0.5:
            break
        for _ in range(size):
            longest = float(next(lengths))
    return longest


def _mean_span(counts: Mapping[int, Counts]) -> float:
    """exp(ln T_1 + area under the pooled share over ln T), as the mean span of Woods et al."""
    log_lengths, shares = np.log(sorted(counts)), isotonic(counts)
    return float(np.exp(log_lengths[0] + np.trapezoid(shares, log_lengths)))
